/**
 * A map whose keys are bytes: up to three spans of a buffer, one after the other. A key is looked up where it lies, without a copy
 * and without a string; only one that is new is copied. For lookups made once a record.
 *
 * The caller sees to it that no two keys that differ come to the same bytes when their spans are joined.
 */

/** Bytes `start` to `end` of a buffer; empty when `start` is negative. */
export interface Bytes {
  readonly start: number;
  readonly end: number;
}

export const noBytes: Bytes = { start: -1, end: -1 };

interface Entry<Value> {
  readonly key: Uint8Array;
  readonly value: Value;
  /** Another key of the same hash. */
  readonly next: Entry<Value> | undefined;
}

export class ByteMap<Value> {
  readonly #countMax: number;
  readonly #byHash = new Map<number, Entry<Value>>();
  #count = 0;
  /** The one found last: keys come in runs. */
  #last: Entry<Value> | undefined;

  /** Beyond `countMax` keys all are forgotten. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** The value of the key, or what `make` gives for it, which is then kept. */
  get(bytes: Uint8Array, one: Bytes, two: Bytes, three: Bytes, make: () => Value): Value {
    if (this.#last !== undefined && isKey(this.#last.key, bytes, one, two, three)) return this.#last.value;
    const hash = hashOf(bytes, three, hashOf(bytes, two, hashOf(bytes, one, 0x811c9dc5 | 0)));
    let entry = this.#byHash.get(hash);
    while (entry !== undefined && !isKey(entry.key, bytes, one, two, three)) entry = entry.next;
    if (entry === undefined) {
      const key = Buffer.concat([one, two, three].map(({ start, end }) => bytes.subarray(Math.max(0, start), Math.max(0, end))));
      entry = this.#add(hash, key, make());
    }
    this.#last = entry;
    return entry.value;
  }

  #add(hash: number, key: Uint8Array, value: Value): Entry<Value> {
    if (this.#count >= this.#countMax) {
      this.#byHash.clear();
      this.#count = 0;
    }
    const entry = { key, value, next: this.#byHash.get(hash) };
    this.#byHash.set(hash, entry);
    this.#count++;
    return entry;
  }
}

/** FNV-1a. */
function hashOf(bytes: Uint8Array, { start, end }: Bytes, before: number): number {
  let hash = before;
  for (let at = start < 0 ? end : start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash;
}

function isKey(key: Uint8Array, bytes: Uint8Array, one: Bytes, two: Bytes, three: Bytes): boolean {
  return behind(key, behind(key, behind(key, 0, bytes, one), bytes, two), bytes, three) === key.length;
}

/** Where `span` ends in the key when it stands there from `from` on; NaN when it does not. */
function behind(key: Uint8Array, from: number, bytes: Uint8Array, { start, end }: Bytes): number {
  if (start < 0) return from;
  const to = from + end - start;
  if (!(to <= key.length)) return NaN;
  for (let at = from, index = start; at < to; at++, index++) if (key[at] !== bytes[index]) return NaN;
  return to;
}
