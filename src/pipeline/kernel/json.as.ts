/**
 * A scan of one JSON object in a line, as ../../core/json.ts does it, for those of which nothing can be said but good: valid, depth up
 * to 64, no lone surrogate, numbers that are finite, no key twice in any case. What takes more than bytes to decide (keys
 * with escapes or beyond ASCII, very many keys, large exponents) is left to the scan there, as is what is wrong.
 *
 * The line must end in LF, which stands nowhere in JSON but between tokens and is taken for none: so no step asks for the end.
 */

const QUOTE: u8 = 0x22;
const BACKSLASH: u8 = 0x5c;
const COMMA: u8 = 0x2c;
const COLON: u8 = 0x3a;
const OPEN: u8 = 0x7b;
const CLOSE: u8 = 0x7d;
const LIST: u8 = 0x5b;
const LIST_END: u8 = 0x5d;

/** Containers in containers: a level is a bit of 64. */
const depthMax: i32 = 64;
/** Keys of objects that are open at once; beyond, the other scan looks. */
const keysMax: usize = 256;
/** Beyond, a number may be too large for a double: 100 digits and an exponent of two, 10^199. */
const numberBytesMax: usize = 100;

/** Hashes of the keys of open objects, and for each level where its keys begin. */
const hashes: usize = memory.data(1024 + 16, 16);
const levels: usize = memory.data(128, 16);
/** 0 to 15, to cut a block at a length. */
const places: usize = memory.data<u8>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], 16);

/** Keys of the outermost object that are looked for, in blocks padded with NUL, and where their values lie: begin and end, 0 for none. */
export const wantedMax: i32 = 4;
export const wanted: usize = memory.data(64, 16);
export const spans: usize = memory.data(32, 16);
export let wantedCount: i32 = 0;

let keys: usize = 0;
/** Place in `spans` of the key read last, 0 for one that nobody looks for. */
let named: usize = 0;

export function lookFor(count: i32): void {
  wantedCount = count;
}

/** From the opening brace at `first` to behind the object's end; 0 when it is none, or not certainly a good one. */
export function object(first: usize): usize {
  for (let index: i32 = 0; index < wantedCount; index++) store<u64>(spans + ((<usize>index) << 3), 0);
  let kinds: u64 = 0;
  let depth: i32 = 0;
  let at = first;
  let value: usize = 0;
  keys = 0;
  while (true) {
    const byte = load<u8>(at);
    if (byte === QUOTE) {
      at = string(at + 1);
      if (at === 0) return 0;
    } else if (byte === OPEN || byte === LIST) {
      if (depth === depthMax) return 0;
      store<u16>(levels + ((<usize>depth) << 1), <u16>keys);
      kinds = (kinds << 1) | <u64>(byte === OPEN);
      depth++;
      at = space(at + 1);
      if (load<u8>(at) !== byte + 2) {
        if (byte === OPEN) {
          at = key(at, depth);
          if (at === 0) return 0;
          if (depth === 1) value = begin(at);
        }
        continue;
      }
      // Its end is met below.
    } else {
      at = scalar(at, byte);
      if (at === 0) return 0;
    }
    if (depth === 1 && value !== 0 && byte !== OPEN && byte !== LIST) store<u32>(value + 4, <u32>at);
    at = space(at);
    while (true) {
      const after = load<u8>(at);
      if (after === COMMA) break;
      const ofObject = (kinds & 1) !== 0;
      if (after !== (ofObject ? CLOSE : LIST_END)) return 0;
      depth--;
      kinds >>= 1;
      if (ofObject) keys = <usize>load<u16>(levels + ((<usize>depth) << 1));
      at++;
      if (depth === 0) return at;
      if (depth === 1 && value !== 0) store<u32>(value + 4, <u32>at);
      at = space(at);
    }
    at = space(at + 1);
    if ((kinds & 1) !== 0) {
      at = key(at, depth);
      if (at === 0) return 0;
      if (depth === 1) value = begin(at);
    }
  }
}

/** Notes that the value of the key read last begins at `at`, if anybody looks for it. */
function begin(at: usize): usize {
  if (named !== 0) store<u32>(named, <u32>at);
  return named;
}

/** Behind the white space at `from`; a line's end is none. */
export function space(from: usize): usize {
  let at = from;
  while (true) {
    const byte = load<u8>(at);
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0d) return at;
    at++;
  }
}

/** From behind the opening quote to behind the closing one; 0 when it is no string, or holds a lone surrogate. */
function string(from: usize): usize {
  let at = from;
  while (true) {
    const block = v128.load(at);
    const named = v128.or(i8x16.eq(block, i8x16.splat(QUOTE)), i8x16.eq(block, i8x16.splat(BACKSLASH)));
    const marks = i8x16.bitmask(v128.or(named, i8x16.lt_u(block, i8x16.splat(0x20))));
    if (marks === 0) {
      at += 16;
      continue;
    }
    at += <usize>ctz(marks);
    const byte = load<u8>(at);
    if (byte === QUOTE) return at + 1;
    if (byte !== BACKSLASH) return 0;
    at = escape(at);
    if (at === 0) return 0;
  }
}

/** From the backslash at `at` to behind the escape, a surrogate pair as one. */
function escape(at: usize): usize {
  const letter = load<u8>(at + 1);
  if (letter === 0x6e || letter === QUOTE || letter === BACKSLASH || letter === 0x2f) return at + 2;
  if (letter === 0x74 || letter === 0x72 || letter === 0x62 || letter === 0x66) return at + 2;
  if (letter !== 0x75) return 0;
  const unit = hexFour(at + 2);
  if (unit < 0) return 0;
  if ((unit & 0xf800) !== 0xd800) return at + 6;
  if (unit >= 0xdc00 || load<u8>(at + 6) !== BACKSLASH || load<u8>(at + 7) !== 0x75) return 0;
  const second = hexFour(at + 8);
  return second >= 0 && (second & 0xfc00) === 0xdc00 ? at + 12 : 0;
}

function hexFour(from: usize): i32 {
  let value: i32 = 0;
  for (let at = from; at < from + 4; at++) {
    const byte = <i32>load<u8>(at);
    const letter = byte | 0x20;
    let digit = byte - 0x30;
    if (byte > 0x39) digit = letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

/** A value that is neither string nor container. */
function scalar(at: usize, byte: u8): usize {
  if (byte === 0x2d || isDigit(byte)) return number(at);
  if (byte === 0x74) return load<u32>(at) === 0x65757274 ? at + 4 : 0;
  if (byte === 0x6e) return load<u32>(at) === 0x6c6c756e ? at + 4 : 0;
  return byte === 0x66 && load<u32>(at + 1) === 0x65736c61 ? at + 5 : 0;
}

function number(from: usize): usize {
  const whole = from + <usize>(load<u8>(from) === 0x2d);
  let at = digitsEnd(whole);
  if (at === whole || (at > whole + 1 && load<u8>(whole) === 0x30)) return 0;
  if (load<u8>(at) === 0x2e) {
    const fraction = at + 1;
    at = digitsEnd(fraction);
    if (at === fraction) return 0;
  }
  if (at - from > numberBytesMax) return 0;
  if ((load<u8>(at) | 0x20) !== 0x65) return at;
  const sign = load<u8>(at + 1);
  const exponent = at + 1 + <usize>(sign === 0x2b || sign === 0x2d);
  at = digitsEnd(exponent);
  return at === exponent || at > exponent + 2 ? 0 : at;
}

function digitsEnd(from: usize): usize {
  let at = from;
  while (isDigit(load<u8>(at))) at++;
  return at;
}

export function isDigit(byte: u8): bool {
  return <u8>(byte - 0x30) < 10;
}

/** The key at `at` and its colon, noted among those of its object; returns where the value begins, 0 when it is left to others. */
function key(at: usize, depth: i32): usize {
  if (load<u8>(at) !== QUOTE || keys === keysMax) return 0;
  const start = at + 1;
  let end = start;
  let hash: u64 = 0;
  named = 0;
  while (true) {
    const block = v128.load(end);
    const special = v128.or(i8x16.eq(block, i8x16.splat(QUOTE)), i8x16.eq(block, i8x16.splat(BACKSLASH)));
    const marks = i8x16.bitmask(v128.or(v128.or(special, i8x16.lt_u(block, i8x16.splat(0x20))), i8x16.lt_s(block, i8x16.splat(0))));
    const bytes: i32 = marks === 0 ? 16 : ctz(marks);
    const inside = v128.and(block, i8x16.lt_u(v128.load(places), i8x16.splat(<i8>bytes)));
    const capital = i8x16.lt_u(i8x16.sub(inside, i8x16.splat(0x41)), i8x16.splat(26));
    const folded = v128.or(inside, v128.and(capital, i8x16.splat(0x20)));
    hash = (hash ^ i64x2.extract_lane(folded, 0)) * 0x9e3779b97f4a7c15;
    hash = (hash ^ (hash >> 29) ^ i64x2.extract_lane(folded, 1)) * 0xbf58476d1ce4e5b9;
    if (depth === 1 && wantedCount !== 0 && end === start) find(inside);
    end += bytes;
    if (bytes < 16) break;
    // A name of 16 bytes and more is none that is looked for.
    named = 0;
  }
  if (load<u8>(end) !== QUOTE || !note(<u32>(hash >> 32), depth)) return 0;
  const colon = space(end + 1);
  return load<u8>(colon) === COLON ? space(colon + 1) : 0;
}

function find(name: v128): void {
  for (let index: i32 = 0; index < wantedCount; index++) {
    if (i8x16.all_true(i8x16.eq(name, v128.load(wanted + ((<usize>index) << 4))))) named = spans + ((<usize>index) << 3);
  }
}

/** False when a key of the object at hand has this hash already. Equal keys have equal hashes. */
function note(hash: u32, depth: i32): bool {
  const first = <usize>load<u16>(levels + ((<usize>(depth - 1)) << 1));
  const sought = i32x4.splat(hash);
  for (let index = first; index < keys; index += 4) {
    const same = i32x4.bitmask(i32x4.eq(sought, v128.load(hashes + (index << 2))));
    if (same !== 0 && <usize>ctz(same) < keys - index) return false;
  }
  store<u32>(hashes + (keys << 2), hash);
  keys++;
  return true;
}
