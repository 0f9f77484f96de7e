/** The keys of sources that read lines of text: what a line is, when it was, and which lines belong together. */
import * as v from "valibot";
import { formats, presets, timeNames, type MultilineKeys, type TimestampKeys } from "../core/format.ts";
import { isTimeZone, parseTimePattern } from "../core/strptime.ts";
import { count, duration, size, text } from "../core/values.ts";

/** As line_bytes_max: an event in its envelope may grow six times and has to find room in a commit group. */
const eventBytesLimit = 4 * 2 ** 20;

const timeFormat = () =>
  v.pipe(
    text(),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed || (timeNames as readonly string[]).includes(dataset.value)) return;
      const steps = parseTimePattern(dataset.value);
      if ("mistake" in steps) addIssue({ message: steps.mistake });
    }),
    v.title(`${timeNames.map((name) => `\`${name}\``).join(", ")} or a pattern such as \`%Y-%m-%d %H:%M:%S\``),
  );

const timestampMap = v.strictObject({
  format: v.pipe(
    timeFormat(),
    v.description(
      "How the time is written: `rfc3339`, `clf` (common log format), `syslog` (no year), `epoch_s` to `epoch_ns`, or a strptime pattern. `%f` is a fraction of a second.",
    ),
  ),
  key: v.optional(v.pipe(text(), v.description("The key that holds it: formats `json` and `logfmt`."))),
  after: v.optional(
    v.pipe(
      text(),
      v.description('It stands behind the first of these in the line. Left out: at its begin, blanks, a syslog priority, `[` and `"` skipped.'),
    ),
  ),
  zone: v.optional(
    v.pipe(
      text(),
      v.check(isTimeZone, "must be a time zone such as Europe/Berlin, or local"),
      v.description("Zone of times that say none, such as `Europe/Berlin`, or `local`. Left out: UTC, and `rfc3339` wants a zone in the line."),
    ),
  ),
});

const timestamp = () =>
  v.pipe(
    v.union([timeFormat(), timestampMap], "must be the format of a time, or a map with format"),
    v.transform((given): TimestampKeys => (typeof given === "string" ? { format: given } : given)),
    v.description("Takes the record's time from the line: the name of a format or a pattern, or a map. Left out: when the line was read."),
  );

const pattern = () =>
  v.pipe(
    text(),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const mistake = mistakeIn(dataset.value);
      if (mistake !== undefined) addIssue({ message: `must be a regular expression, not ${JSON.stringify(dataset.value)}: ${mistake}` });
    }),
    v.title("regular expression"),
  );

function mistakeIn(expression: string): string | undefined {
  try {
    return new RegExp(expression, "u").source === "" ? "it is empty" : undefined;
  } catch (cause) {
    return String(cause instanceof Error ? cause.message : cause).replace(/^Invalid regular expression: /, "");
  }
}

const multilineMap = v.pipe(
  v.strictObject({
    preset: v.optional(
      v.pipe(v.picklist(presets, `must be ${presets.join(", ")}`), v.description("Stack traces of a language, with the line before them.")),
    ),
    start: v.optional(v.pipe(pattern(), v.description("A line that matches begins an event."))),
    continue: v.optional(v.pipe(pattern(), v.description("A line that does not match begins an event."))),
    end: v.optional(v.pipe(pattern(), v.description("A line that matches is the last of its event."))),
    lines_max: v.optional(v.pipe(count(2, 100_000), v.description("Lines of an event at most; what follows is an event of its own.")), 1000),
    bytes_max: v.optional(
      v.pipe(
        size(),
        v.minValue(1024, "must be at least 1KiB"),
        v.maxValue(eventBytesLimit, "must be at most 4MiB"),
        v.description("Bytes of an event at most; what follows is an event of its own."),
      ),
      "1MiB",
    ),
    timeout: v.optional(
      v.pipe(duration(), v.minValue(10, "must be at least 10ms"), v.description("An event ends when nothing more came for so long.")),
      "2s",
    ),
  }),
  v.check(
    ({ preset, start, continue: joined, end }) => (preset === undefined) !== (start === undefined && joined === undefined && end === undefined),
    "must have either preset or patterns (start, continue, end)",
  ),
);

const multiline = () =>
  v.pipe(
    v.union([v.picklist(presets), multilineMap], `must be one of ${presets.join(", ")}, or a map with preset or patterns`),
    v.transform((given): MultilineKeys => (typeof given === "string" ? v.parse(multilineMap, { preset: given }) : given)),
    v.description("Lines that belong together become one record: the name of a preset, or a map."),
  );

type Keyed = { readonly format: string; readonly timestamp?: TimestampKeys | undefined };

/** For `v.forward(v.partialCheck(keyedTime.keys, keyedTime.holds, keyedTime.message), ["timestamp"])` behind the source's map. */
export const keyedTime = {
  keys: [["format"], ["timestamp"]] as const,
  holds: ({ format, timestamp: time }: Keyed) => time?.key === undefined || format === "json" || format === "logfmt",
  message: "must not have a key unless format is json or logfmt",
};

export const lineEntries = {
  format: v.optional(
    v.pipe(
      v.picklist(formats, `must be ${formats.join(", ")}`),
      v.description(
        "What a line is: text; a JSON object; a line of Kubernetes (CRI) or of Docker's json-file driver; or logfmt. A line that is not is kept as text and counted.",
      ),
    ),
    "plain",
  ),
  data_as: v.optional(
    v.pipe(
      v.picklist(["object", "string"], "must be object or string"),
      v.description("Formats `json` and `logfmt`: whether `data` of the record is a JSON object, or its text, so that all tables have one type."),
    ),
    "object",
  ),
  timestamp: v.optional(timestamp()),
  multiline: v.optional(multiline()),
};
