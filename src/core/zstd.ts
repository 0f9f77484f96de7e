/**
 * The structure of zstd data (RFC 8878, section 3.1) without decompressing it: frames and blocks are walked by their sizes.
 *
 * Needed before data of strangers is decompressed: how much will come out at most, and is it whole. The decoder of node:zlib
 * takes a torn end and bytes behind the last frame without a word, so that has to be seen here.
 */

/** What `bytes` is made of. */
export interface ZstdSize {
  /** Frames with content; skippable ones are not counted. */
  readonly frames: number;
  /** Bytes that come out at most: as the frames say when all of them say it (a decoder refuses one that lied), else by their blocks. */
  readonly bytesMax: number;
  /** Every frame says how large its content is: `bytesMax` is exact. */
  readonly exact: boolean;
}

const magic = 0xfd2fb528;
/** Skippable frames: 0x184D2A50 to 0x184D2A5F. */
const skippableMagic = 0x184d2a50;
/** No block comes to more than this (Block_Maximum_Size). */
const blockBytesMax = 128 * 1024;
const rawBlock = 0;
const compressedBlock = 2;

/** The structure of all frames in `bytes`; undefined when they are not whole, or something else is among or behind them. */
export function zstdSize(bytes: Uint8Array): ZstdSize | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frames = 0;
  let declared = 0;
  let byBlocks = 0;
  let exact = true;
  for (let at = 0; at < bytes.length;) {
    if (at + 8 > bytes.length) return undefined;
    const number = view.getUint32(at, true);
    if ((number & 0xfffffff0) >>> 0 === skippableMagic) {
      at += 8 + view.getUint32(at + 4, true);
      if (at > bytes.length) return undefined;
      continue;
    }
    const frame = number === magic ? readFrame(view, at) : undefined;
    if (frame === undefined) return undefined;
    frames++;
    if (frame.declared === undefined) exact = false;
    else declared += frame.declared;
    byBlocks += frame.byBlocks;
    at = frame.end;
  }
  return { frames, bytesMax: exact ? declared : byBlocks, exact };
}

/** Where the first frame of `bytes` ends, a skippable one too; undefined when it is not there whole, or no frame. */
export function firstFrameEnd(bytes: Uint8Array): number | undefined {
  if (bytes.byteLength < 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const number = view.getUint32(0, true);
  const skippable = (number & 0xfffffff0) >>> 0 === skippableMagic;
  const end = skippable ? 8 + view.getUint32(4, true) : number === magic ? readFrame(view, 0)?.end : undefined;
  return end === undefined || end > bytes.byteLength ? undefined : end;
}

interface FrameSize {
  readonly end: number;
  readonly declared: number | undefined;
  readonly byBlocks: number;
}

function readFrame(view: DataView, start: number): FrameSize | undefined {
  const descriptor = view.getUint8(start + 4);
  const single = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const sizeBytes = sizeFlag === 0 ? (single ? 1 : 0) : 1 << sizeFlag;
  const sizeAt = start + 5 + (single ? 0 : 1) + dictionaryBytes;
  let at = sizeAt + sizeBytes;
  if (at > view.byteLength) return undefined;
  const declared = sizeBytes === 0 ? undefined : readSize(view, sizeAt, sizeBytes);
  let byBlocks = 0;
  for (let last = false; !last;) {
    if (at + 3 > view.byteLength) return undefined;
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    last = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type > compressedBlock) return undefined;
    byBlocks += type === compressedBlock ? blockBytesMax : size;
    // A block that repeats one byte (type 1) says how often, and holds that byte.
    at += 3 + (type === rawBlock || type === compressedBlock ? size : 1);
  }
  const end = at + ((descriptor & 4) !== 0 ? 4 : 0);
  return end > view.byteLength ? undefined : { end, declared, byBlocks };
}

function readSize(view: DataView, at: number, bytes: number): number {
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at, true) + 256;
  if (bytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}
