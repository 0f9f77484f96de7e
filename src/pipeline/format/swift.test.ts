import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { collectFrames } from "../../../test/support/frames.ts";
import type { Chunk } from "../../core/contract.ts";
import type { LineKeys } from "../../core/format.ts";
import { depthMax } from "../../core/json.ts";
import { createEncoder, type EncoderOptions } from "../encoder.ts";
import { timeReader } from "./instant.ts";

const readMs = Date.UTC(2026, 10, 23, 1, 37, 20) + 590.123;
const fields = { from: true, source: false, host: false, labels: [] };
const options: EncoderOptions = { name: "app", host: "edge-1", labels: { env: "prod" }, fields };

/** Chunks of one source, with what is told of them, through one loop: the records' bytes, the counts, and what each quarter's frames say. */
function encoded(loop: "fastest" | "plain", chunks: readonly Partial<Chunk>[], more: Partial<EncoderOptions>, frameBytes: number) {
  const collected = collectFrames(frameBytes);
  const encoder = createEncoder({ ...options, ...more, loop });
  const counts = chunks.map((chunk) => encoder.encode({ bytes: Buffer.alloc(0), form: "lines", readMs, ...chunk }, collected.frames));
  const quarters = new Map<number, { records: number; minMs: number; maxMs: number }>();
  for (const frame of collected.opened) {
    if (frame.records === 0) continue;
    const sum = quarters.get(frame.quarter) ?? { records: 0, minMs: Infinity, maxMs: -Infinity };
    sum.records += frame.records;
    sum.minMs = Math.min(sum.minMs, frame.minMs);
    sum.maxMs = Math.max(sum.maxMs, frame.maxMs);
    quarters.set(frame.quarter, sum);
  }
  return { counts, quarters: [...quarters], bytes: collected.bytes().toString("latin1") };
}

function hold(chunks: readonly Partial<Chunk>[], more: Partial<EncoderOptions>, frameBytes = 1024 * 1024): void {
  const kernel = encoded("fastest", chunks, more, frameBytes);
  const plain = encoded("plain", chunks, more, frameBytes);
  expect(kernel.counts).toEqual(plain.counts);
  expect(kernel.quarters).toEqual(plain.quarters);
  if (kernel.bytes !== plain.bytes) expect(kernel.bytes.split("\n")).toEqual(plain.bytes.split("\n"));
}

/** Choices that a seed decides: repeatable, and cheaper by far than a value of fast-check for each. */
class Choices {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  below(count: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % count;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const two = (count: number): string => String(count).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/** Clocks around the reading, the borders of a quarter and of a day, and what is no clock. */
const clock = (c: Choices): string =>
  c.below(12) > 0
    ? `${c.of(["01", "01", "01", "00", "23", "1", "99"])}:${two(15 + c.below(c.of([15, 15, 32])))}:${two(c.below(c.of([60, 61])))}`
    : c.of(["01:44:59", "01:45:00", "01:29:59", "01:30:00", "24:00:00", "01:3:07", "0a:30:00", "01:30", "01-30-00", ""]);
const fraction = (c: Choices): string => c.of(["", ".5", ".123", ".590123", ".123456789", ".000000000", ".1234567890123", ",25", ".", ",", ".x"]);
const zone = (c: Choices): string => c.of(["Z", "Z", "z", "+00:00", "+01:00", "-0500", "+01", "+05:45", "+00:07", "", " ", "+1", "+25:00"]);
const day = (c: Choices): string =>
  c.of(["2026-11-23", "2026-11-23", "2026-11-23", "2026-11-22", "2026-02-30", "1999-11-23", "2031-01-01", "2026-1-3"]);

/** How each format writes its times, near misses among them. */
const times: readonly { keys: NonNullable<LineKeys["timestamp"]>; text: (c: Choices) => string }[] = [
  { keys: { format: "rfc3339" }, text: (c) => `${day(c)}${c.of(["T", "T", " ", "t", "x"])}${clock(c)}${fraction(c)}${zone(c)}` },
  { keys: { format: "rfc3339", zone: "Europe/Berlin" }, text: (c) => `${day(c)} ${clock(c)}${fraction(c)}${c.of(["", "", zone(c)])}` },
  { keys: { format: "rfc3339", zone: "Asia/Kathmandu" }, text: (c) => `${day(c)}T${clock(c)}` },
  {
    keys: { format: "clf" },
    text: (c) =>
      `${c.of(["23", "23", "22", "31"])}/${c.of(["Nov", "Nov", "nov", "Xyz"])}/2026:${clock(c)} ${c.of(["+0000", "+0000", "+0100", "-00:30", "+01", "UTC"])}`,
  },
  {
    keys: { format: "syslog" },
    text: (c) => `${c.of(["Nov", "Nov", "Nov", "May", "nov"])} ${c.of(["23", "23", "22", " 3"])} ${clock(c)}${fraction(c)}`,
  },
  { keys: { format: "syslog", zone: "America/St_Johns" }, text: (c) => `Nov 22 ${clock(c).replace(/^01/, "22")}` },
  ...([0, 3, 6, 9] as const).map((below, index) => ({
    keys: { format: ["epoch_s", "epoch_ms", "epoch_us", "epoch_ns"][index] as string },
    text: (c: Choices): string => {
      const second = Math.floor(readMs / 1000) + c.below(c.of([600, 600, 4000])) - c.of([300, 300, 2000]);
      const digits = Array.from({ length: below }, () => c.below(10)).join("");
      return c.of([`${second}${digits}`, `${second}${digits}`, `${second}${digits}${fraction(c)}`, `${second}`, "0", "12345678901234567890123"]);
    },
  })),
  { keys: { format: "%Y-%m-%d %H:%M:%S,%f", zone: "Europe/Berlin" }, text: (c) => `${day(c)}  ${clock(c)}${c.of([",5", ",123", fraction(c)])}` },
  { keys: { format: "%d %b %Y %T %z" }, text: (c) => `23 ${c.of(["Nov", "November", "nov"])} ${c.of(["2026", "20261"])} ${clock(c)} ${zone(c)}` },
  { keys: { format: "%b %d %H:%M:%S" }, text: (c) => `${c.of(months.slice(9))} 23 ${clock(c)}` },
  { keys: { format: "%H:%M:%S %d.%m.%Y" }, text: (c) => `${clock(c)} 23.11.${c.of(["2026", "2026", "20265", "26"])}` },
  { keys: { format: "%Y%m%d%H%M%S" }, text: (c) => `20261123${clock(c).replaceAll(":", "")}` },
];

/** Times of one writer: \`first\` with other minutes, seconds and fractions, as a rule in its quarter of an hour; and one of \`odd\` of another. */
function timesLike(c: Choices, { keys: { format, zone: name }, text }: (typeof times)[number], odd: number): () => string {
  const read = timeReader(format, name);
  const into = { seconds: NaN, nanos: 0 };
  const near = (bytes: Buffer): boolean => read(bytes, 0, bytes.length, into, readMs) > 0 && Math.abs(into.seconds - readMs / 1000) < 86_400;
  let first = text(c);
  for (let tries = 0; tries < 30 && !near(Buffer.from(first)); tries++) first = text(c);
  return () => {
    if (c.below(odd) === 0) return text(c);
    if (/^\d{5,}/.test(first)) return first.replace(/\d\d$/, () => two(c.below(100)));
    const clockNear = (_: string, hour: string, minute: string): string =>
      `${hour}:${two(Number(minute) - (Number(minute) % 15) + c.below(c.of([15, 15, 17])))}:${two(c.below(60))}`;
    return first.replace(/(\d\d):(\d\d):\d\d/, clockNear).replace(/([.,])(\d+)/, (_, mark: string, digits: string) => {
      return `${mark}${Array.from(digits, () => c.below(10)).join("")}`;
    });
  };
}

const runs = [1, 7, 13, 14, 15, 16, 17, 31, 32, 33, 100, 300].map((length) => "abcdefghijklmnopqrstuvwxyz".repeat(12).slice(0, length));
const texts = ["", "é", "日本", "🚚", "\u2028", "\u007f", '\\"', "\\\\", "\\n", "\\u0041", "\\ud83d\\ude9a", "\\uD83D\\uDE9A", ...runs];
const wrongTexts = ["\\ud800", "\\ude9a\\ud83d", "\\ud83dx", "\\ud83d\\u0041", "\\u12g4", "\\x", "\u0001", "\t", "\0", "\\", '"'];
const numbers = ["0", "-0", "7", "-12", "3.25", "1e5", "1E-7", "2.5e+99", "12345678901234567890", "9".repeat(90)];
const wrongNumbers = ["01", "-", "1.", ".5", "1e", "1e999", "1e400", "9".repeat(400), "+1", "0x1", "1e100", "NaN", "1.5e-"];
const keys = ["a", "b", "c", "level", "message", "time", "A", "Time", "", ...runs.slice(2, 10)];
const wrongKeys = ["\\u0061", "é", "K", "ſ", "k\\n", "\\ud800"];
const blanks = ["", "", "", " ", "\t", "\r", "  "];

/** True once in a line that is to have a flaw, at any of its parts. */
type Flaw = () => boolean;
const none: Flaw = () => false;

function flawIn(c: Choices): Flaw {
  let left = 1;
  return () => left > 0 && c.below(6) === 0 && left-- > 0;
}

function value(c: Choices, flaw: Flaw, depth: number): string {
  const wrong = flaw();
  switch (c.below(depth > 2 ? 3 : 5)) {
    case 0:
      return `"${c.of(texts)}${c.of(wrong ? wrongTexts : texts)}${c.of(texts)}"`;
    case 1:
      return c.of(wrong ? wrongNumbers : numbers);
    case 2:
      return c.of(wrong ? ["tru", "nul", "False", "undefined", "truee", ""] : ["true", "false", "null"]);
    case 3:
      return `[${c.of(blanks)}${Array.from({ length: c.below(4) }, () => value(c, flaw, depth + 1)).join(",")}${wrong ? c.of([",", "}"]) : ""}]`;
    default:
      return object(c, flaw, depth + 1);
  }
}

function object(c: Choices, flaw: Flaw, depth: number, time = ""): string {
  const used: string[] = [];
  const pairs: string[] = [];
  for (let count = c.below(depth > 1 ? 4 : c.of([3, 8, 8, 40])); count > 0; count--) {
    let key = `${c.of(keys)}${c.below(30)}`;
    if (flaw()) key = c.of([...wrongKeys, ...used, ...used.map((name) => name.toUpperCase()), 'é":1,"É']);
    else if (used.includes(key.toLowerCase())) continue;
    used.push(key.toLowerCase());
    const colon = flaw() ? c.of(["", "::", ",", "\f:"]) : ":";
    pairs.push(`${c.of(blanks)}"${key}"${c.of(blanks)}${colon}${c.of(blanks)}${value(c, flaw, depth)}${c.of(blanks)}`);
  }
  if (time !== "") pairs.splice(c.below(pairs.length + 1), 0, time);
  return `{${pairs.join(",")}${flaw() ? c.of([",", "}", "\n", "]", "\f", "x"]) : ""}${c.of(blanks)}}`;
}

/** What comes instead of an object, or is one that only just is fine, or not. */
function oddLine(c: Choices, time: string): string {
  const nest = depthMax - 3 + c.below(5);
  return c.of([
    "",
    "\r",
    "[1]",
    "hello",
    "\0\0\0",
    `{"a":1}{"b":2}`,
    `{"a":${"[".repeat(nest)}${"]".repeat(nest)}}`,
    `${'{"a":'.repeat(nest)}1${"}".repeat(nest)}`,
    `{${Array.from({ length: 200 + c.below(100) }, (_, index) => `"k${index}":1`).join(",")}}`,
    `{"a":"${"x".repeat(70_000)}"}`,
    object(c, none, 1, time).slice(0, -1 - c.below(20)),
  ]);
}

/** A line of JSON, or what came instead of one: of \`odd\` lines one is of the latter, and one has a flaw. */
function jsonLine(c: Choices, odd: number, time: string): string {
  if (c.below(odd) === 0) return oddLine(c, time);
  return `${c.of(blanks)}${object(c, c.below(odd) === 0 ? flawIn(c) : none, 1, time)}${c.of(blanks)}`;
}

const junk = [Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0]), Buffer.from("\n"), Buffer.from("\r")];

/** Lines as a chunk; one byte in a chunk of three is changed to something hostile. */
function chunkOf(c: Choices, line: () => string): Buffer {
  const lines: string[] = [];
  for (let length = 0; length < 4500; length += (lines.at(-1) ?? "").length + 1) lines.push(line());
  const bytes = Buffer.from(`${lines.join(c.of(["\n", "\n", "\r\n"]))}${c.of(["\n", "\n", "\r\n", ""])}`);
  if (c.below(3) > 0) return bytes;
  const at = c.below(bytes.length);
  return Buffer.concat([bytes.subarray(0, at), c.of(junk), bytes.subarray(at + c.below(2))]);
}

/** Three chunks of one text. */
function chunksOf(c: Choices, line: () => string): Partial<Chunk>[] {
  let offset = c.of([0, 1, 99_998_000, 12_345_678_901]);
  const placed = c.below(5) > 0;
  return Array.from({ length: 3 }, (_, index) => {
    const bytes = chunkOf(c, line);
    const chunk = { bytes, readMs: readMs + index * 250, ...(placed ? { offset, file: "/var/log/app.log" } : {}) };
    offset += bytes.length;
    return chunk;
  });
}

const shape = fc.record({
  seed: fc.integer(),
  odd: fc.constantFrom(2, 4, 8, 100),
  dataAs: fc.constantFrom("object" as const, "string" as const),
  time: fc.option(fc.constantFrom(...times), { nil: undefined, freq: 2 }),
  key: fc.constantFrom("time", "time", "time", "T", "T", "T", "a_long_name_for_a_time", "", 'q"', undefined),
  after: fc.constantFrom(undefined, undefined, "[", "time=", "at the time that is written here: "),
  frameBytes: fc.constantFrom(3000, 20_000, 70_000),
  lineBytesMax: fc.constantFrom(100, 1000, 2 ** 20, 2 ** 20),
  emptyLines: fc.constantFrom("keep" as const, "skip" as const),
});

test("json: any lines, any frame, any time: the kernel leaves the same records, counts and times as the scan line by line", () => {
  fc.assert(
    fc.property(shape, ({ seed, odd, dataAs, time, key, frameBytes, lineBytesMax, emptyLines }) => {
      const c = new Choices(seed);
      const next = time === undefined ? () => "" : timesLike(c, time, odd);
      const text = (): string => {
        if (time === undefined || key === undefined) return "";
        const at = next();
        const quote = c.below(20) > 0 && !/^\d+$/.test(at) ? '"' : c.of(["", '"']);
        return `${JSON.stringify(key)}:${quote}${c.below(odd) > 0 ? "" : " "}${at}${quote}`;
      };
      const timestamp = time === undefined ? undefined : { ...time.keys, key };
      const keysOf: LineKeys = { format: "json", data_as: dataAs, timestamp };
      hold(
        chunksOf(c, () => jsonLine(c, odd, text())),
        { keys: keysOf, lineBytesMax, emptyLines },
        frameBytes,
      );
    }),
    { numRuns: 1000 },
  );
});

const rests = [' "GET / HTTP/1.1" 200', "] done", '"', "", " é 日本", "x", "5", ".5", "Z", " +0000", "|a", "\u0001\\"];

test("plain lines with a time: the kernel reads the same ones as the reader does, and leaves it the others", () => {
  const ages = fc.constantFrom(0, 0, 0, 0, 40, 99, 100, 101, 182, 183, 400, 3651, 3660).map((days) => days * 86_400_000);
  const timed = fc.tuple(shape, fc.constantFrom(...times), ages);
  fc.assert(
    fc.property(timed, ([{ seed, odd, after, frameBytes, lineBytesMax, emptyLines }, time, age]) => {
      const c = new Choices(seed);
      const between = after ?? (time.keys.format === "clf" ? "[" : "");
      const next = timesLike(c, time, odd);
      const line = (): string => {
        const front =
          between === ""
            ? c.of(["", "", " ", "\t", "<34>", "<34>1 ", "[", '"', "<1", "<12345>", "1 "])
            : `${c.of(["", "10.0.0.1 - - ", "[x "])}${between}`;
        return c.below(odd) > 0 ? `${front}${next()}${c.of(rests)}` : c.of(["", "\r", between, "x".repeat(5000) + between + time.text(c), "\0"]);
      };
      const chunks = chunksOf(c, line).map((chunk) => ({ ...chunk, readMs: (chunk.readMs ?? 0) + age }));
      hold(chunks, { keys: { timestamp: { ...time.keys, after } }, lineBytesMax, emptyLines }, frameBytes);
    }),
    { numRuns: 1000 },
  );
});

test("times that are all alike but for minute and second are the kernel's: it takes nearly every line", () => {
  const lines = Array.from({ length: 1000 }, (_, n) => `10.0.0.1 - - [23/Nov/2026:01:${two(30 + (n % 15))}:${two(n % 60)} +0000] "GET /${n}"`);
  let asked = 0;
  const collected = collectFrames();
  const frames: typeof collected.frames = (...words) => {
    asked++;
    return collected.frames(...words);
  };
  const encoder = createEncoder({ ...options, keys: { timestamp: { format: "clf" } } });
  const counts = encoder.encode({ bytes: Buffer.from(`${lines.join("\n")}\n`), form: "lines", readMs }, frames);
  expect(counts.records).toBe(1000);
  expect(counts.timeUnread).toBe(0);
  expect(collected.records().every(({ timestamp }, n) => timestamp === `2026-11-23T01:${two(30 + (n % 15))}:${two(n % 60)}.000000Z`)).toBe(true);
  expect(asked).toBeLessThan(5);
});
