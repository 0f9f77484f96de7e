/**
 * Door to compression. What it returns depends on its input alone (and the level), so that a batch planned before a
 * restart is encoded to the same bytes after it; only the order of finishing is open.
 */
import { unpack } from "./unpack.ts";
import { zlib } from "./zlib.ts";
import { zstdSize } from "./zstd.ts";

export interface Compress {
  /** One independent zstd frame (RFC 8878). Runs on the runtime's thread pool; `bytes` must not change until it resolves. */
  zstd(bytes: Uint8Array, level: number): Promise<Uint8Array>;
  /**
   * All frames of `bytes`, joined. Rejects on damage. With `bytesMax`, for data of strangers: also when anything else is among
   * the frames or behind them, and, before more than that is allocated, when more comes out (ERR_BUFFER_TOO_LARGE).
   */
  unzstd(bytes: Uint8Array, bytesMax?: number): Promise<Uint8Array>;
  /** One gzip member (RFC 1952), off the main thread: libdeflate's one-shot call would block it for 7.5 ms per 0.76 MB. */
  gzip(bytes: Uint8Array, level: number): Promise<Uint8Array>;
  /** All members of `bytes`, joined, at most `bytesMax` of them. Rejects on damage and beyond the bound (ERR_BUFFER_TOO_LARGE). */
  gunzip(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>;
  /** All members of a body that comes in parts, in pieces of any length, whatever it comes to. Rejects on damage. A part may change after the next was asked for. */
  gunzipParts?(parts: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** What a file holds, in pieces as they are asked for; see unpack.ts. A simulated door has none. */
  unpack?: typeof unpack;
}

/** One call of node:zlib that answers by calling back. */
function called(call: (done: (error: Error | null, made: Buffer) => void) => void): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  call((error, made) => (error === null ? resolve(made) : reject(error)));
  return promise;
}

export const systemCompress: Compress = {
  zstd: (bytes, level) => Bun.zstdCompress(bytes, { level }),
  unzstd: (bytes, bytesMax) => (bytesMax === undefined ? Bun.zstdDecompress(bytes) : unzstdBounded(bytes, bytesMax)),
  gzip: (bytes, level) => called((done) => zlib().gzip(bytes, { level }, done)),
  // node:zlib and not Bun.gunzipSync: the latter stops after the first member without a word.
  gunzip: (bytes, bytesMax) => called((done) => zlib().gunzip(bytes, { maxOutputLength: bytesMax }, done)),
  gunzipParts,
  unpack,
};

async function* gunzipParts(parts: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unpacked = zlib().createGunzip();
  const feed = async (): Promise<void> => {
    try {
      for await (const part of parts) {
        if (unpacked.destroyed) return;
        if (unpacked.write(part.slice())) continue;
        await new Promise<void>((resolve) => unpacked.once("drain", resolve).once("close", resolve));
      }
      unpacked.end();
    } catch (cause) {
      unpacked.destroy(cause instanceof Error ? cause : new Error(String(cause)));
    }
  };
  const fed = feed();
  for await (const piece of unpacked) yield piece as Uint8Array;
  await fed;
}

/**
 * The runtime's own call is five times as fast as node:zlib (1,400 MB/s to 300) but knows no bound, so it gets what is known to
 * stay within it. The rest, frames of a stream that do not say their size, goes through node:zlib.
 */
async function unzstdBounded(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
  const size = zstdSize(bytes);
  if (size === undefined) throw new Error("not whole zstd frames");
  if (size.frames === 0) return new Uint8Array(0);
  if (size.bytesMax <= bytesMax) return Bun.zstdDecompress(bytes);
  if (size.exact) throw Object.assign(new RangeError(`more than ${bytesMax} bytes come out`), { code: "ERR_BUFFER_TOO_LARGE" });
  // 8 MiB is what every decoder must be able to give a frame (RFC 8878, 3.1.1.1.2); the window is allocated at once.
  const windowLog = Math.min(Math.max(Math.ceil(Math.log2(bytesMax)), 23), 27);
  const { constants, zstdDecompress } = zlib();
  const options = { maxOutputLength: bytesMax, params: { [constants.ZSTD_d_windowLogMax]: windowLog } };
  return called((done) => zstdDecompress(bytes, options, done));
}
