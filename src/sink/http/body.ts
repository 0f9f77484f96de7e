/** The body of a batch in one buffer, and how many frames it has. */
import { assert } from "../../core/assert.ts";
import type { Batch, Codec } from "../../core/contract.ts";
import type { Compress } from "../../core/compress.ts";
import { giveBack, lend, type Lent } from "../../core/lend.ts";

/**
 * All of a body (batch.bytes_max bounds it) and the frames it is made of: the delivery loop streams a frame or member a piece. One of
 * a single piece, as for a receiver of one frame, is that piece and no copy. Plain text has no frames; it counts as one. Rejects
 * as the body does. The caller gives the memory back.
 */
export async function bodyOf(batch: Batch): Promise<{ lent: Lent; frames: number }> {
  let lent: Lent | undefined;
  let length = 0;
  let frames = 0;
  const pieces = batch.body()[Symbol.asyncIterator]();
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) break;
    const piece = next.value;
    assert(length + piece.byteLength <= batch.bytes, "the body of a batch is longer than planned");
    // The piece is ours until the next one is asked for; that there is none is known by its length.
    if (length === 0 && piece.byteLength === batch.bytes) return { lent: lendPiece(piece, pieces), frames: 1 };
    lent ??= lend(batch.bytes);
    lent.bytes.set(piece, length);
    length += piece.byteLength;
    frames++;
  }
  assert(length === batch.bytes, "the body of a batch is shorter than planned");
  return { lent: lent ?? lend(0), frames: batch.codec === "none" ? 1 : frames };
}

function lendPiece(bytes: Uint8Array, pieces: AsyncIterator<Uint8Array>): Lent {
  return {
    bytes,
    [Symbol.dispose]() {
      giveBack(bytes);
      void pieces.return?.();
    },
  };
}

/** What a body of 4 MiB may come to when it is unpacked; logs compress ten times over at most, repetition a hundred times. */
const plainBytesMax = 1024 * 1024 * 1024;

/** The same records in one frame or member. */
export async function joined(bytes: Uint8Array, codec: Codec, compress: Compress): Promise<Uint8Array> {
  if (codec === "zstd") return compress.zstd(await compress.unzstd(bytes), 1);
  if (codec === "gzip") return compress.gzip(await compress.gunzip(bytes, plainBytesMax), 6);
  return bytes;
}
