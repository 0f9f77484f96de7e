/** Buffers of frames, used again: five sizes, so that a quiet stream does not hold a mebibyte. Larger ones are not kept. */
import { frameBytes } from "../core/limits.ts";

/** Kept per size: enough for a group being gathered and one being compressed (2 x 8 MiB), for 32 quiet streams, and for 2,000 small ones. */
const sizes: readonly { bytes: number; keep: number }[] = [
  { bytes: 4 * 1024, keep: 2048 },
  { bytes: 16 * 1024, keep: 512 },
  { bytes: 64 * 1024, keep: 64 },
  { bytes: 256 * 1024, keep: 16 },
  { bytes: frameBytes, keep: 18 },
];

export class FrameBuffers {
  readonly #free = new Map<number, Uint8Array[]>(sizes.map(({ bytes }) => [bytes, []]));

  /** A buffer of at least `bytes`, with any content. */
  take(bytes: number): Uint8Array {
    const fit = sizes.find((size) => size.bytes >= bytes);
    return fit === undefined ? new Uint8Array(bytes) : (this.#free.get(fit.bytes)?.pop() ?? new Uint8Array(fit.bytes));
  }

  give(buffer: Uint8Array): void {
    const fit = sizes.find((size) => size.bytes === buffer.byteLength);
    const free = fit === undefined ? undefined : this.#free.get(fit.bytes);
    if (fit !== undefined && free !== undefined && free.length < fit.keep) free.push(buffer);
  }
}
