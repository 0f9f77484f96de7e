/**
 * The records of a body that comes back from the far side: unpacked piece by piece, and their lines as hashes.
 *
 * Promise: memory is bounded by a frame, or by eight bytes a line for the hashes, never by the length of the body.
 */
import type { Compress } from "../core/compress.ts";
import type { Codec } from "../core/contract.ts";
import { firstFrameEnd } from "../core/zstd.ts";

/** Our frames are 1 MiB of NDJSON; what has no end after this is none of ours. */
const frameBytesMax = 64 * 2 ** 20;

/** 128 MiB of hashes: 32 MiB objects of the shortest records have an eighth of it. */
export const linesMax = 16 * 2 ** 20;

/** The body is not what a batch of its name can be: damaged, torn, or somebody else's. */
export class BodyDamaged extends Error {
  override readonly name = "BodyDamaged";
}

/** NDJSON in pieces of any length. Rejects with BodyDamaged, or with what `parts` rejects with. */
export async function* expand(parts: AsyncIterable<Uint8Array>, codec: Codec, compress: Compress): AsyncGenerator<Uint8Array> {
  if (codec === "none") yield* parts;
  else if (codec === "zstd") yield* expandZstd(parts, compress);
  else yield* expandGzip(parts, compress);
}

async function* expandZstd(parts: AsyncIterable<Uint8Array>, compress: Compress): AsyncGenerator<Uint8Array> {
  let held: Uint8Array = new Uint8Array(0);
  for await (const part of parts) {
    held = Buffer.concat([held, part]);
    for (let end = firstFrameEnd(held); end !== undefined; end = firstFrameEnd(held)) {
      const frame = held.subarray(0, end);
      yield await compress.unzstd(frame).catch((cause: unknown) => {
        throw new BodyDamaged("a frame cannot be unpacked", { cause });
      });
      held = held.subarray(end);
    }
    if (held.byteLength > frameBytesMax) throw new BodyDamaged("it is not made of zstd frames");
  }
  if (held.byteLength > 0) throw new BodyDamaged("it does not end with a zstd frame");
}

async function* expandGzip(parts: AsyncIterable<Uint8Array>, compress: Compress): AsyncGenerator<Uint8Array> {
  // What the far side says must not be taken for damage.
  let failed: { readonly cause: unknown } | undefined;
  async function* watched(): AsyncGenerator<Uint8Array> {
    try {
      yield* parts;
    } catch (cause) {
      failed = { cause };
      throw cause;
    }
  }
  try {
    if (compress.gunzipParts !== undefined) yield* compress.gunzipParts(watched());
    else yield await compress.gunzip(Buffer.concat(await Array.fromAsync(watched(), (part) => part.slice())), frameBytesMax);
  } catch (cause) {
    if (failed !== undefined) throw failed.cause;
    throw new BodyDamaged("it cannot be unpacked", { cause });
  }
}

/** The hash of each line, by `seed`: random, so that nobody can write two lines that are taken for one another. */
export class LineHashes {
  #hashes = new BigUint64Array(4096);
  #lines = 0;
  #rest: Uint8Array | undefined;
  readonly #seed: bigint;

  constructor(seed: bigint) {
    this.#seed = seed;
  }

  /** `piece` is not kept. Throws BodyDamaged beyond `linesMax`. */
  add(piece: Uint8Array): void {
    let at = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, at)) {
      this.#addLine(this.#rest === undefined ? piece.subarray(at, end) : Buffer.concat([this.#rest, piece.subarray(at, end)]));
      this.#rest = undefined;
      at = end + 1;
    }
    if (at < piece.byteLength) this.#rest = Buffer.concat([this.#rest ?? new Uint8Array(0), piece.subarray(at)]);
  }

  #addLine(line: Uint8Array): void {
    if (this.#lines === this.#hashes.length) {
      if (this.#lines >= linesMax) throw new BodyDamaged(`it has more than ${linesMax} lines`);
      const grown = new BigUint64Array(this.#lines * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[this.#lines++] = Bun.hash.wyhash(line, this.#seed);
  }

  /** Throws BodyDamaged when the last line has no end. */
  finish(): BigUint64Array {
    if (this.#rest !== undefined) throw new BodyDamaged("it does not end at a line end");
    return this.#hashes.subarray(0, this.#lines);
  }
}
