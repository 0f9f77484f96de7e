/** Numbers, spans and names as people read them on the page. English, the same on every machine. */

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** `1,234,567` */
export function count(value: number): string {
  return grouped.format(value);
}

/** `1 record`, `2 records`, `no records` */
export function counted(value: number, noun: string, plural = `${noun}s`): string {
  return `${value === 0 ? "no" : grouped.format(value)} ${value === 1 ? noun : plural}`;
}

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** `0 B`, `812 B`, `1.4 MiB`, `130 MiB` */
export function bytes(value: number): string {
  let [amount, unit] = [value, 0];
  // 1023.95 is where one decimal would round up to 1,024.
  while (amount >= 1023.95 && unit < byteUnits.length - 1) {
    amount /= 1024;
    unit++;
  }
  const number = unit === 0 || amount >= 99.95 ? grouped.format(amount) : one.format(amount);
  return `${number} ${byteUnits[unit] ?? ""}`;
}

/** `4,210/s`, `0.3/s`; slower than one in twenty seconds is not told from nothing. */
export function perSecond(value: number): string {
  return `${value < 0.05 ? "0" : value < 10 ? one.format(value) : grouped.format(value)}/s`;
}

const spanUnits: readonly [name: string, seconds: number][] = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

/** The two largest parts of a time: `2 d 3 h`, `5 min 12 s`, `0 s`. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const first = spanUnits.findIndex(([, unit]) => whole >= unit);
  if (first < 0) return "0 s";
  let rest = whole;
  const parts: string[] = [];
  for (const [name, unit] of spanUnits.slice(first, first + 2)) {
    const amount = Math.floor(rest / unit);
    if (amount > 0) parts.push(`${amount} ${name}`);
    rest -= amount * unit;
  }
  return parts.join(" ");
}

/** How long ago an RFC 3339 time was: `just now`, `12 s ago`, `3 h ago`; times ahead of our clock say so. */
export function ago(time: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(time)) / 1000;
  if (Number.isNaN(seconds)) return time;
  if (seconds < -2) return `in ${span(-seconds)}`;
  return seconds < 1 ? "just now" : `${coarse(seconds)} ago`;
}

/** How long something stands since an RFC 3339 time: `for 11 h`. */
export function heldFor(since: string, nowMs: number): string {
  const seconds = (nowMs - Date.parse(since)) / 1000;
  return Number.isNaN(seconds) ? `since ${since}` : `for ${coarse(seconds)}`;
}

/** The largest part alone; the seconds of an hour ago tell nobody anything. */
export function coarse(seconds: number): string {
  return /^\d+ \S+/.exec(span(seconds))?.[0] ?? "0 s";
}

/** A name or path from outside with its control characters made visible: nothing in it may act on the page or hide. */
export function shown(text: string): string {
  // eslint-disable-next-line no-control-regex -- they are what this is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
}
