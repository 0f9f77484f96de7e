/** The body of a batch in one buffer, and how many frames it has. */
import { assert } from "../../core/assert.ts";
import type { Batch, Codec } from "../../core/contract.ts";
import type { Compress } from "../../core/compress.ts";
import { lend, type Lent } from "../../core/lend.ts";

/**
 * All of a body (batch.bytes_max bounds it) and the frames it is made of: the delivery loop streams a frame or member a piece.
 * Plain text has no frames; it counts as one. Rejects as the body does. The caller gives the memory back.
 */
export async function bodyOf(batch: Batch): Promise<{ lent: Lent; frames: number }> {
  const lent = lend(batch.bytes);
  let length = 0;
  let frames = 0;
  for await (const piece of batch.body()) {
    assert(length + piece.byteLength <= batch.bytes, "the body of a batch is longer than planned");
    lent.bytes.set(piece, length);
    length += piece.byteLength;
    frames++;
  }
  assert(length === batch.bytes, "the body of a batch is shorter than planned");
  return { lent, frames: batch.codec === "none" ? 1 : frames };
}

/** What a body of 4 MiB may come to when it is unpacked; logs compress ten times over at most, repetition a hundred times. */
const plainBytesMax = 1024 * 1024 * 1024;

/** The same records in one frame or member. */
export async function joined(bytes: Uint8Array, codec: Codec, compress: Compress): Promise<Uint8Array> {
  if (codec === "zstd") return compress.zstd(await compress.unzstd(bytes), 1);
  if (codec === "gzip") return compress.gzip(await compress.gunzip(bytes, plainBytesMax), 6);
  return bytes;
}
