/**
 * Door to compression. What it returns depends on its input alone (and the level), so that a batch planned before a
 * restart is encoded to the same bytes after it; only the order of finishing is open.
 */
import { promisify } from "node:util";
import { gzip, gunzip, type ZlibOptions } from "node:zlib";

export interface Compress {
  /** One independent zstd frame (RFC 8878). Runs on the runtime's thread pool; `bytes` must not change until it resolves. */
  zstd(bytes: Uint8Array, level: number): Promise<Uint8Array>;
  /** All frames of `bytes`, joined. Rejects on damage. */
  unzstd(bytes: Uint8Array): Promise<Uint8Array>;
  /** One gzip member (RFC 1952), off the main thread: libdeflate's one-shot call would block it for 7.5 ms per 0.76 MB. */
  gzip(bytes: Uint8Array, level: number): Promise<Uint8Array>;
  /** All members of `bytes`, joined, at most `bytesMax` of them. Rejects on damage and beyond the bound (ERR_BUFFER_TOO_LARGE). */
  gunzip(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array>;
}

const gzipAsync = promisify<Uint8Array, ZlibOptions, Buffer>(gzip);
const gunzipAsync = promisify<Uint8Array, ZlibOptions, Buffer>(gunzip);

export const systemCompress: Compress = {
  zstd: (bytes, level) => Bun.zstdCompress(bytes, { level }),
  unzstd: (bytes) => Bun.zstdDecompress(bytes),
  gzip: (bytes, level) => gzipAsync(bytes, { level }),
  // node:zlib and not Bun.gunzipSync: the latter stops after the first member without a word.
  gunzip: (bytes, bytesMax) => gunzipAsync(bytes, { maxOutputLength: bytesMax }),
};
