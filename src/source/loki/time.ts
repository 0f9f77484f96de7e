/**
 * Loki's times: whole nanoseconds since 1970, beyond what a double holds, so text or bigint.
 *
 * Time is cut into buckets of ten seconds, open at the start and closed at the end, `(10 b s, 10 (b + 1) s]`, since that is what a
 * range vector `[10s]` evaluated at a multiple of ten seconds counts: our counts and the server's are of the same entries.
 */

export const bucketSeconds = 10;
export const bucketsPerMinute = 60 / bucketSeconds;
const bucketNs = BigInt(bucketSeconds) * 1_000_000_000n;

/** Bucket of an entry's time, given as whole seconds and nanoseconds. */
export function bucketOf(seconds: number, nanos: number): number {
  const bucket = Math.floor(seconds / bucketSeconds);
  return nanos === 0 && seconds % bucketSeconds === 0 ? bucket - 1 : bucket;
}

/** Bucket that holds `ns`. */
export function bucketAt(ns: bigint): number {
  return Number((ns - 1n) / bucketNs);
}

/** The first nanosecond of a bucket; that of the next is where it ends. */
export function bucketStart(bucket: number): bigint {
  return BigInt(bucket) * bucketNs + 1n;
}

/** The bucket that the minute of `bucket` begins with. */
export function minuteOf(bucket: number): number {
  return Math.floor(bucket / bucketsPerMinute) * bucketsPerMinute;
}

export function nsOfMs(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n;
}

let lastSecond = -1;
let lastPrefix = "";

/** `2026-11-23T01:30:20.590123456Z`. The text of the second is kept, since entries come in runs. */
export function formatNs(seconds: number, nanos: number): string {
  if (seconds !== lastSecond) {
    lastPrefix = new Date(seconds * 1000).toISOString().slice(0, 19);
    lastSecond = seconds;
  }
  return `${lastPrefix}.${String(nanos).padStart(9, "0")}Z`;
}

/** Nanoseconds of an RFC 3339 time; undefined when it is none. */
export function parseRfc3339(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
  const [, whole, fraction = "", zone] = match ?? [];
  const ms = whole === undefined || zone === undefined ? NaN : Date.parse(`${whole.toUpperCase()}${zone.toUpperCase()}`);
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}
