/**
 * The log of logferry itself: one line an event on stderr, JSON by default, for journald and collectors alike.
 *
 * Field names are stable: `time`, `level`, `event`, `component`, then what belongs to the event. Never a secret, never a record.
 */
import { harmlessJson, visible } from "./shown.ts";

export type Level = "debug" | "info" | "warn" | "error";
export type LogFields = Record<string, string | number | boolean | undefined>;

export interface Log {
  /** `event` is a short lower-case sentence; `fields` what belongs to it. */
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** The same log with `fields` in every line. */
  with(fields: LogFields): Log;
}

const rank: Record<Level, number> = { debug: 0, info: 1, warn: 2, error: 3 };

/**
 * A log that hands finished lines (without line end) to `write`.
 * `text` lines are for people: `2026-11-23T01:30:20.590Z info  sinks.lake delivered batch records=12`.
 */
export function createLog(
  write: (line: string) => void,
  options: { level: Level; format: "json" | "text"; now: () => number },
  bound: LogFields = {},
): Log {
  const emit = (level: Level, event: string, fields: LogFields = {}): void => {
    if (rank[level] < rank[options.level]) return;
    const time = new Date(options.now()).toISOString();
    const all = { ...bound, ...fields };
    write(options.format === "json" ? harmlessJson(JSON.stringify({ time, level, event, ...all })) : textLine(time, level, event, all));
  };
  return {
    debug: (event, fields) => emit("debug", event, fields),
    info: (event, fields) => emit("info", event, fields),
    warn: (event, fields) => emit("warn", event, fields),
    error: (event, fields) => emit("error", event, fields),
    with: (fields) => createLog(write, options, { ...bound, ...fields }),
  };
}

function textLine(time: string, level: Level, event: string, fields: LogFields): string {
  const { component, ...rest } = fields;
  const pairs = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(
      ([key, value]) =>
        ` ${key}=${typeof value === "string" && /[\s"=]/.test(value) ? harmlessJson(JSON.stringify(value)) : visible(String(value), 1000)}`,
    );
  return `${time} ${level.padEnd(5)} ${component === undefined ? "" : `${String(component)} `}${visible(event, 1000)}${pairs.join("")}`;
}

/** A log that says nothing, for tests and for commands that print their own answer. */
export const silent: Log = createLog(() => {}, { level: "error", format: "json", now: () => 0 });
