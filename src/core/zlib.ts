/**
 * The runtime's node:zlib, loaded when it is first needed: with the streams under it, it costs 4 to 8 MB of resident memory, and a host
 * that ships zstd frames as they lie in its spool needs none of it.
 */
import type * as Zlib from "node:zlib";

let loaded: typeof Zlib | undefined;

/** Never fails: it is built into the runtime. */
export function zlib(): typeof Zlib {
  return (loaded ??= process.getBuiltinModule("node:zlib"));
}
