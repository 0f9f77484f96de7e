/**
 * From a wall time in a zone to UTC.
 *
 * The runtime knows its database only by formatting dates, at 2 µs each: the answer is kept for a quarter hour of wall time, since
 * no zone changes its offset inside one. An hour that comes twice counts as the first of the two; a time that a zone leaps over
 * counts with the offset before the leap.
 */
import { secondsOf } from "./calendar.ts";

/** Seconds east of UTC that hold at a wall time, given in seconds as if it were UTC. */
export type Zone = (wallSeconds: number) => number;

const quarter = 900;
const day = 86_400;
/** Quarters of an hour remembered: times come in order, so one would nearly do. */
const rememberedMax = 64;

export const utc: Zone = () => 0;

/** `name` is in the time zone database, or `local`. */
export function openZone(name: string): Zone {
  const timeZone = name === "local" ? new Intl.DateTimeFormat().resolvedOptions().timeZone : name;
  if (timeZone === "UTC") return utc;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  const known = new Map<number, number>();
  let lastKey = NaN;
  let lastOffset = 0;
  return (wallSeconds) => {
    const key = Math.floor(wallSeconds / quarter);
    if (key === lastKey) return lastOffset;
    let offset = known.get(key);
    if (offset === undefined) {
      if (known.size >= rememberedMax) known.clear();
      offset = offsetAtWall(format, key * quarter);
      known.set(key, offset);
    }
    lastKey = key;
    lastOffset = offset;
    return offset;
  };
}

function offsetAtWall(format: Intl.DateTimeFormat, wallSeconds: number): number {
  const before = offsetAt(format, wallSeconds - day);
  const after = offsetAt(format, wallSeconds + day);
  if (before === after || offsetAt(format, wallSeconds - before) === before) return before;
  return offsetAt(format, wallSeconds - after) === after ? after : before;
}

function offsetAt(format: Intl.DateTimeFormat, seconds: number): number {
  const parts = new Map(format.formatToParts(seconds * 1000).map(({ type, value }) => [type, value] as const));
  const read = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
  const year = parts.get("era") === "BC" ? 1 - read("year") : read("year");
  return secondsOf(year, read("month"), read("day"), read("hour"), read("minute"), read("second")) - seconds;
}
