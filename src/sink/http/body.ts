/** The body of a batch in one buffer, and how many frames it has. */
import type { Batch, Codec } from "../../core/contract.ts";
import type { Compress } from "../../core/compress.ts";

/**
 * All of a body (batch.bytes_max bounds it) and the frames it is made of: the delivery loop streams a frame or member a piece.
 * Plain text has no frames; it counts as one. Rejects as the body does.
 */
export async function bodyOf(batch: Batch): Promise<{ bytes: Uint8Array; frames: number }> {
  const pieces: Uint8Array[] = [];
  for await (const piece of batch.body()) pieces.push(piece);
  const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  return { bytes, frames: batch.codec === "none" ? 1 : pieces.length };
}

/** What a body of 4 MiB may come to when it is unpacked; logs compress ten times over at most, repetition a hundred times. */
const plainBytesMax = 1024 * 1024 * 1024;

/** The same records in one frame or member. */
export async function joined(bytes: Uint8Array, codec: Codec, compress: Compress): Promise<Uint8Array> {
  if (codec === "zstd") return compress.zstd(await compress.unzstd(bytes), 1);
  if (codec === "gzip") return compress.gzip(await compress.gunzip(bytes, plainBytesMax), 6);
  return bytes;
}
