/** The streaming part of the door to compression, at once: all of the input is taken before the first piece comes. */
import { constants, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { Ending, Packing, Unpacking } from "../../src/core/unpack.ts";

const pieceBytes = 16_384;

export function unpackAtOnce(packing: Packing, input: () => Promise<Uint8Array | undefined>): Unpacking {
  const parts: Uint8Array[] = [];
  let consumed = 0;
  let content: { readonly bytes: Uint8Array; readonly ending: Ending } | undefined;
  let at = 0;
  return {
    get consumed() {
      return consumed;
    },
    async next() {
      while (content === undefined) {
        const part = await input();
        if (part === undefined) content = decompress(packing, Buffer.concat(parts));
        else {
          parts.push(part.slice());
          consumed += part.byteLength;
        }
      }
      if (at >= content.bytes.byteLength) return content.ending;
      const piece = content.bytes.slice(at, at + pieceBytes);
      at += piece.byteLength;
      return piece;
    },
    close: () => {},
  };
}

/** What of it can be decompressed. */
function decompress(packing: Packing, raw: Uint8Array): { bytes: Uint8Array; ending: Ending } {
  const whole = packing === "gzip" ? gunzipSync : zstdDecompressSync;
  try {
    return { bytes: whole(raw), ending: "whole" };
  } catch {
    const flush = packing === "gzip" ? constants.Z_SYNC_FLUSH : constants.ZSTD_e_flush;
    try {
      return { bytes: whole(raw, { finishFlush: flush }), ending: "cut" };
    } catch {
      return { bytes: new Uint8Array(0), ending: "cut" };
    }
  }
}
