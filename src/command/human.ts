/** Numbers as people read them. */

const steps = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/** `0 B`, `512 B`, `1.4 MiB`, `23 GiB`: three digits at most. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = "B";
  for (const step of steps) {
    // 999.5 and above would be shown with four digits.
    if (value < 1000) break;
    value /= 1024;
    unit = step;
  }
  return `${unit === "B" || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${unit}`;
}

/** `1,234,567`. */
export function humanCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 segment`, `2 segments`. */
export function plural(count: number, noun: string): string {
  return `${humanCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** The two largest units: `0s`, `12s`, `3m 20s`, `2d 4h`. Negative durations (a clock that was set) are `0s`. */
export function humanDuration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return "0s";
  return parts
    .slice(first, first + 2)
    .filter(([count], index) => index === 0 || count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join(" ");
}

/** `3m 20s ago`, `never` without a time. `time` is RFC 3339. */
export function humanAgo(time: string | undefined, nowMs: number): string {
  return time === undefined ? "never" : `${humanDuration(nowMs - Date.parse(time))} ago`;
}
