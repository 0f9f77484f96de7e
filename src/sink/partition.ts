/**
 * Partition templates: which folder (lane) a record belongs to.
 *
 *     source={source}/env={labels.env}/date=%Y-%m-%d/hour=%H
 *
 * - `{source}`, `{host}`, `{labels.NAME}` are the record's own; NAME goes up to the closing brace, dots and all.
 * - `%Y %m %d %H` are the record's time in a stated IANA zone. Nothing finer: a frame never spans a quarter hour of record
 *   time, and every zone's day and hour begins on one, so the quarter of a frame decides for all its records.
 * - Values are percent-encoded so that none can climb, split or hide a path: everything but A-Z a-z 0-9 _ . - is
 *   escaped by its UTF-8 bytes, and a leading `.` or `_` of a folder too, since Spark and Hive skip such folders.
 * - A value that is missing or empty is `__HIVE_DEFAULT_PARTITION__`, which Hive, Spark, Athena and DuckDB read as null.
 */
import type { Delivery, StreamFields } from "../core/contract.ts";
import { assert } from "../core/assert.ts";
import { quarterMs } from "../core/limits.ts";

/** What a partition may be made of. A label that is not in `labels` counts as missing. */
export interface PartitionValues {
  readonly source?: string | undefined;
  readonly host?: string | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

type TimePart = "Y" | "m" | "d" | "H";
type Part =
  | { readonly text: string }
  | { readonly time: TimePart }
  /** `leading`: stands at the start of a folder's name. */
  | { readonly field: "source" | "host"; readonly leading: boolean }
  | { readonly label: string; readonly leading: boolean };

export interface Template {
  readonly parts: readonly Part[];
  readonly source: boolean;
  readonly host: boolean;
  readonly labels: readonly string[];
}

const missing = "__HIVE_DEFAULT_PARTITION__";

/** A file name has 255 bytes as a rule: a value of at most 160 leaves room for the text before it. */
const valueBytesMax = 160;

/** The template, or what is wrong with it in the words of the configuration. */
export function parseTemplate(template: string): Template | { readonly mistake: string } {
  const shape = shapeMistake(template);
  if (shape !== undefined) return { mistake: shape };
  const parts: Part[] = [];
  let leading = true;
  for (const match of template.matchAll(/\{([^{}]*)\}|%(.?)|([{}])|[^{}%]+/g)) {
    const [all, field, time, brace] = match;
    if (brace !== undefined) return { mistake: `has a ${brace} without its partner` };
    const part = field !== undefined ? fieldPart(field, leading) : time !== undefined ? timePart(time) : { text: all };
    if ("mistake" in part) return part;
    parts.push(part);
    leading = all.endsWith("/");
  }
  return {
    parts,
    source: parts.some((part) => "field" in part && part.field === "source"),
    host: parts.some((part) => "field" in part && part.field === "host"),
    labels: [...new Set(parts.flatMap((part) => ("label" in part ? [part.label] : [])))],
  };
}

function shapeMistake(template: string): string | undefined {
  if (template === "") return "must not be empty";
  if (/[\p{Cc}\\]/u.test(template)) return "must not hold control characters or backslashes";
  const folders = template.replace(/\{[^{}]*\}/g, "x").split("/");
  if (folders.includes("")) return "must not begin or end with / or hold //";
  if (folders.some((folder) => folder.startsWith("."))) return "must not have a folder that begins with a dot";
  return undefined;
}

function fieldPart(field: string, leading: boolean): Part | { readonly mistake: string } {
  if (field === "source" || field === "host") return { field, leading };
  if (field.startsWith("labels.") && field.length > "labels.".length) return { label: field.slice("labels.".length), leading };
  return { mistake: `has {${field}}, which is none of {source}, {host}, {labels.NAME}` };
}

function timePart(letter: string): Part | { readonly mistake: string } {
  if (letter === "Y" || letter === "m" || letter === "d" || letter === "H") return { time: letter };
  if ("MSsfLN".includes(letter) && letter !== "")
    return { mistake: `has %${letter}, but partitions finer than an hour are not made: use %Y %m %d %H` };
  return { mistake: `has %${letter}, which is none of %Y %m %d %H` };
}

/** Whether `zone` is in the runtime's time zone database. */
export function zoneExists(zone: string): boolean {
  if (!/^[A-Za-z]/.test(zone)) return false; // an offset such as +05:07 would begin its hours beside the quarters
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone }).format();
    return true;
  } catch {
    return false;
  }
}

type Expand = (values: PartitionValues, timeMs: number) => string;

/** Expands a template that was found right; `zone` must exist. The same for every time in one quarter hour. */
export function expander(template: string, zone: string): Expand {
  const parsed = parseTemplate(template);
  assert(!("mistake" in parsed), `partition template ${template} was not checked`);
  const { parts } = parsed;
  const timeOf = quarterHours(zone);
  return (values, timeMs) => {
    const time = timeOf(timeMs);
    let path = "";
    for (const part of parts) {
      if ("text" in part) path += part.text;
      else if ("time" in part) path += time[part.time];
      else path += encodeValue("field" in part ? values[part.field] : ownLabel(values.labels, part.label), part.leading);
    }
    return path;
  };
}

function ownLabel(labels: Readonly<Record<string, string>> | undefined, name: string): string | undefined {
  return labels !== undefined && Object.hasOwn(labels, name) ? labels[name] : undefined;
}

/** Year to hour in a zone. Kept by quarter hour: Intl costs microseconds, and a backlog asks for few different ones. */
function quarterHours(zone: string): (timeMs: number) => Record<TimePart, string> {
  const format = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    hourCycle: "h23",
  });
  const known = new Map<number, Record<TimePart, string>>();
  return (timeMs) => {
    const quarter = Math.floor(timeMs / quarterMs);
    const found = known.get(quarter);
    if (found !== undefined) return found;
    const parts = format.formatToParts(quarter * quarterMs);
    const of = (type: string): string => parts.find((part) => part.type === type)?.value ?? "";
    const made = { Y: of("year").padStart(4, "0"), m: of("month").padStart(2, "0"), d: of("day").padStart(2, "0"), H: of("hour").padStart(2, "0") };
    if (known.size >= 10_000) known.clear(); // 100 days of quarters; a bound, never reached by live data
    known.set(quarter, made);
    return made;
  };
}

const utf8 = new TextEncoder();

/** A value as part of one path segment; `leading` when the segment begins with it. Never empty, never `.` or `..`. */
export function encodeValue(value: string | undefined, leading: boolean): string {
  if (value === undefined || value === "") return missing;
  if (value.length <= valueBytesMax && /^[A-Za-z0-9-][A-Za-z0-9_.-]*$/.test(value)) return value;
  const characters = Array.from(value, (character) => (/[A-Za-z0-9_.-]/.test(character) ? character : escapeAll(character)));
  if (leading && /^[._]/.test(value)) characters[0] = escapeAll(value.slice(0, 1));
  const encoded = characters.join("");
  if (encoded.length <= valueBytesMax) return encoded;
  // Cut between characters; the checksum of the whole keeps two long values apart.
  const sum = `%7E${Bun.hash.crc32(utf8.encode(value)).toString(16).padStart(8, "0")}`;
  let cut = "";
  for (const character of characters) {
    if (cut.length + character.length + sum.length > valueBytesMax) break;
    cut += character;
  }
  return cut + sum;
}

function escapeAll(character: string): string {
  return Array.from(utf8.encode(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
/** Which fields must make a stream, so that frames need not be decoded to be assigned: for the spool, from all sinks. */
export function streamFields(deliveries: readonly Delivery[]): StreamFields {
  const templates = deliveries.flatMap(({ partition }) => {
    const parsed = partition === undefined ? undefined : parseTemplate(partition.template);
    return parsed === undefined || "mistake" in parsed ? [] : [parsed];
  });
  return {
    from: deliveries.some((delivery) => delivery.from !== undefined),
    source: templates.some((template) => template.source),
    host: templates.some((template) => template.host),
    labels: [...new Set(templates.flatMap((template) => template.labels))].sort(),
  };
}
