/**
 * What lines.as.ts and records.as.ts are made of: bytes into a JSON string sixteen at a time, copies, decimal digits. See the head of
 * lines.as.ts for how an escape is met; what is written must fit with the slack that is named there.
 */

/** For each byte what it becomes, padded to eight bytes, and how many of them count. Written by the caller once. */
export const escapes: usize = memory.data(2048, 16);
export const escapeBytes: usize = memory.data(256, 16);

export const LF: u8 = 0x0a;
export const CR: u8 = 0x0d;

/** Escapes bytes from `i` to `o`, up to the next LF or until `o` is beyond `limit`. Returns both, `i` in the upper half. */
export function content(from: usize, at: usize, limit: usize): u64 {
  let i = from;
  let o = at;
  while (o <= limit) {
    const block = v128.load(i);
    v128.store(o, block);
    const named = v128.or(i8x16.eq(block, i8x16.splat(0x22)), i8x16.eq(block, i8x16.splat(0x5c)));
    let marks = i8x16.bitmask(v128.or(named, i8x16.lt_u(block, i8x16.splat(0x20))));
    if (marks !== 0) {
      const ends = i8x16.bitmask(i8x16.eq(block, i8x16.splat(LF)));
      // Those below the line's end: all of them when there is none.
      marks &= (ends - 1) & ~ends;
      for (; marks !== 0; marks &= marks - 1) {
        const index = <usize>ctz(marks);
        const byte = <usize>load<u8>(i + index);
        store<u64>(o + index, load<u64>(escapes + (byte << 3)));
        const bytes = <usize>load<u8>(escapeBytes + byte);
        v128.store(o + index + bytes, v128.load(i + index + 1));
        o += bytes - 1;
      }
      if (ends !== 0) {
        const index = <usize>ctz(ends);
        return ((<u64>(i + index)) << 32) | <u64>(o + index);
      }
    }
    i += 16;
    o += 16;
  }
  return ((<u64>i) << 32) | <u64>o;
}

/** Copies in blocks: up to 15 bytes behind the end are overwritten. Returns the end. */
export function copy(to: usize, from: usize, bytes: usize): usize {
  for (let at: usize = 0; at < bytes; at += 16) v128.store(to + at, v128.load(from + at));
  return to + bytes;
}

/** The eight decimal digits of `value` (below 10^8) as bytes 0 to 9, the first one lowest: halves, quarters and eighths at once. */
export function digits(value: u32): u64 {
  const upper = value / 10000;
  const halves = <u64>upper | ((<u64>(value - upper * 10000)) << 32);
  const hundreds = ((halves * 10486) >> 20) & 0x0000007f0000007f;
  const pairs = hundreds | ((halves - 100 * hundreds) << 16);
  const tens = ((pairs * 103) >> 10) & 0x000f000f000f000f;
  return tens | ((pairs - 10 * tens) << 8);
}

/** Zeros before the first digit that counts, at most seven. */
export function leadingZeros(eight: u64): usize {
  return <usize>(ctz(eight | 0x0100000000000000) >> 3);
}
