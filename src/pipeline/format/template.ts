/**
 * What the times of a source look like, learnt from one that was read: the kernel takes those that differ from it only in
 * minute, second and fraction, in the same quarter of an hour (kernel/time.as.ts).
 *
 * Promises: a line that the kernel reads by a template has the time that the reader of instant.ts gives it. So there is no template
 * where a quarter hour of the lines is none in UTC, where the year may change within it, or where a time would not be believed.
 */
import { parseTimePattern } from "../../core/strptime.ts";
import { quarterMs, recordAgeMsMax, recordAheadMsMax } from "../../core/limits.ts";
import type { Template } from "../kernel/records.ts";
import type { Instant } from "./instant.ts";

/** Where in a text of a named format its hour stands. */
const hourAt: Readonly<Record<string, number>> = { rfc3339: 11, clf: 12, syslog: 7 };
/** Digits below the second of a count. */
const belowOf: Readonly<Record<string, number>> = { epoch_s: 0, epoch_ms: 3, epoch_us: 6, epoch_ns: 9 };
const quarterSeconds = quarterMs / 1000;
/** A time without a year is given the nearest one: nearer than this, no other one is in question. */
const yearlessMsMax = 100 * 24 * 60 * 60 * 1000;
/** RFC 3339 writes four digits of the year. */
const secondsMin = -62_167_219_200;
const secondsMax = 253_402_300_799 - quarterSeconds;
const clock = /\d\d:\d\d:\d\d/g;

/** How templates of one format are made. */
export interface TemplateMaker {
  /** The template of the time `instant` that was read at `bytes[start, end)`; undefined where there is none. */
  make(bytes: Uint8Array, start: number, end: number, instant: Instant): Template | undefined;
  /** Whether times like `template` mean the same, and are believed, in lines read at `readMs`. */
  holds(template: Template, readMs: number): boolean;
}

export function templateMaker(format: string, after: Uint8Array): TemplateMaker {
  const below = belowOf[format];
  const yearless = format === "syslog" || (below === undefined && hourAt[format] === undefined && !hasYear(format));
  return {
    make(bytes, start, end, instant) {
      const form = below === undefined ? textForm(format, bytes, start, end, instant) : { below };
      const quarter = Math.floor(instant.seconds / quarterSeconds) * quarterSeconds;
      if (form === undefined || !(quarter >= secondsMin && quarter <= secondsMax)) return undefined;
      return { quarterSeconds: quarter, form, after };
    },
    holds(template, readMs) {
      const beginMs = template.quarterSeconds * 1000;
      const endMs = beginMs + quarterMs;
      if (yearless && (endMs < readMs - yearlessMsMax || beginMs > readMs + yearlessMsMax)) return false;
      return beginMs >= readMs - recordAgeMsMax && endMs <= readMs + recordAheadMsMax;
    },
  };
}

function textForm(format: string, bytes: Uint8Array, start: number, end: number, instant: Instant): Template["form"] | undefined {
  const hour = hourAt[format] ?? hourInPattern(format, bytes, start, end);
  if (hour === undefined) return undefined;
  const minuteAt = start + hour + 3;
  const minute = two(bytes, minuteAt);
  const second = two(bytes, minuteAt + 3);
  const firstMinute = minute - (minute % 15);
  // The lines' quarter is one in UTC, or zone and quarter do not go together; a leap second is in no quarter by its digits.
  if ((instant.seconds - (minute - firstMinute) * 60 - second) % quarterSeconds !== 0 || second > 59) return undefined;
  let at = minuteAt + 5;
  const mark = bytes[at];
  const fraction = (mark === 0x2e || mark === 0x2c) && at + 1 < end && isDigit(bytes[at + 1]);
  if (fraction) for (at++; at < end && isDigit(bytes[at]);) at++;
  const suffix = bytes.slice(at, end);
  // The reader of this format asks for six bytes behind the second.
  if (format === "clf" && suffix.length !== 6) return undefined;
  return { prefix: bytes.slice(start, minuteAt), suffix, separator: fraction ? mark : 0, firstMinute };
}

/** A pattern has a template when it holds `%H:%M:%S`, with `.%f` or `,%f` behind it or no fraction, and its text one clock. */
function hourInPattern(format: string, bytes: Uint8Array, start: number, end: number): number | undefined {
  const steps = parseTimePattern(format);
  if ("mistake" in steps) return undefined;
  const letters = steps.map((step) => ("letter" in step ? step.letter : "byte" in step ? `=${step.byte}` : " "));
  const at = letters.join("\n").indexOf("H\n=58\nM\n=58\nS") < 0 ? -1 : letters.indexOf("H");
  const count = (letter: string): number => letters.filter((each) => each === letter).length;
  if (at < 0 || ["H", "M", "S"].some((letter) => count(letter) !== 1) || ["I", "p", "s"].some((letter) => count(letter) !== 0)) return undefined;
  const separated = letters[at + 5] === "=46" || letters[at + 5] === "=44";
  if (count("f") > 1 || (count("f") === 1) !== (separated && letters[at + 6] === "f")) return undefined;
  // A point or comma that no fraction follows could still be read as one here.
  if (separated && letters[at + 6] !== "f") return undefined;
  const found = [
    ...Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start)
      .toString("latin1")
      .matchAll(clock),
  ];
  return found.length === 1 ? found[0]?.index : undefined;
}

function hasYear(pattern: string): boolean {
  const steps = parseTimePattern(pattern);
  return !("mistake" in steps) && steps.some((step) => "letter" in step && (step.letter === "Y" || step.letter === "y"));
}

function two(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) - 0x30) * 10 + (bytes[at + 1] as number) - 0x30;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
