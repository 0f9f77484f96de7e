import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { collectFrames } from "../../test/support/frames.ts";
import type { Chunk } from "../core/contract.ts";
import { createEncoder, type EncoderOptions } from "./encoder.ts";

const readMs = Date.UTC(2026, 10, 23, 1, 30, 20) + 590.123;
const fields = { from: true, source: false, host: false, labels: [] };
const options: EncoderOptions = { name: "nginx", host: "edge-1", labels: { env: "prod" }, fields };
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const chunkOf = (bytes: Uint8Array, more: Partial<Chunk> = {}): Chunk => ({ bytes, form: "lines", readMs, ...more });

/** The plain way to the same: a list of lines with their offsets, decoded by the runtime; `base` is the offset of the first byte. */
function expected(bytes: Uint8Array, base: number): { message: string; offset: number }[] {
  const lines: { message: string; offset: number }[] = [];
  const mark = base === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  for (let start = mark; start < bytes.length;) {
    while (bytes[start] === 0) start++; // NULs before a line
    if (start === bytes.length) break;
    const found = bytes.indexOf(10, start);
    let end = found < 0 ? bytes.length : found;
    const next = found < 0 ? bytes.length : found + 1;
    if (found > start && bytes[found - 1] === 13) end--;
    lines.push({ message: decoder.decode(bytes.subarray(start, end)), offset: start });
    start = next;
  }
  return lines;
}

test("a line becomes the record that the design shows, byte for byte", () => {
  const collected = collectFrames();
  const counts = createEncoder(options).encode(chunkOf(utf8('GET "/"\n'), { file: "/var/log/nginx/access.log", offset: 183 }), collected.frames);
  expect(collected.bytes().toString()).toBe(
    '{"timestamp":"2026-11-23T01:30:20.590123Z","host":"edge-1","source":"nginx","file":"/var/log/nginx/access.log","offset":183,"labels":{"env":"prod"},"message":"GET \\"/\\""}\n',
  );
  expect(counts).toEqual({ records: 1, invalidUtf8: 0, nulRuns: 0, truncated: 0, keptAsText: 0, timeRejected: 0, lastMs: readMs });
  expect(collected.opened[0]).toMatchObject({ stream: { from: "nginx" }, minMs: readMs, maxMs: readMs });
});

test("fields that carry nothing are left out, and flags stand before the message", () => {
  const collected = collectFrames();
  const encoder = createEncoder({ ...options, labels: {} });
  encoder.encode(chunkOf(utf8("a")), collected.frames);
  encoder.encode(chunkOf(utf8("b"), { partial: true, truncated: true, offset: 0 }), collected.frames);
  expect(collected.bytes().toString()).toBe(
    '{"timestamp":"2026-11-23T01:30:20.590123Z","host":"edge-1","source":"nginx","message":"a"}\n' +
      '{"timestamp":"2026-11-23T01:30:20.590123Z","host":"edge-1","source":"nginx","offset":0,"partial":true,"truncated":true,"message":"b"}\n',
  );
});

test("CRLF is one end, a lone CR is content, an empty line is kept or skipped", () => {
  const bytes = utf8("a\r\n\r\n\nb\rc\n\r");
  const messages = (emptyLines: "keep" | "skip"): unknown[] => {
    const collected = collectFrames();
    createEncoder({ ...options, emptyLines }).encode(chunkOf(bytes, { offset: 10 }), collected.frames);
    return collected.records().map((record) => [record["message"], record["offset"]]);
  };
  expect(messages("keep")).toEqual([["a", 10], ["", 13], ["", 15], ["b\rc", 16], ["\r", 20]]); // prettier-ignore
  expect(messages("skip")).toEqual([["a", 10], ["b\rc", 16], ["\r", 20]]); // prettier-ignore
});

/** Bytes that make trouble: ends, quotes, controls, pieces of UTF-8 torn and whole, and runs long enough for the eight-byte step. */
const hostile = fc
  .array(
    fc.oneof(
      fc
        .constantFrom("\n", "\r\n", "\r", '"', "\\", "\0", "\u001f", "\u007f", "é", "日本", "🚚", "\ufeff", "\u2028", "plain text ")
        .map((text) => [...utf8(text)]),
      fc.constantFrom([0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x9a], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0x80], [0xf4, 0x90, 0x80, 0x80]),
      fc.array(fc.integer({ min: 0x20, max: 0x7e }), { maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 0xff }), { maxLength: 6 }),
    ),
    { maxLength: 30 },
  )
  .map((parts) => Uint8Array.from(parts.flat()));

test("any bytes: every record is valid JSON and gives back exactly what the decoder makes of its line, at its offset", () => {
  fc.assert(
    fc.property(
      hostile,
      fc.integer({ min: 1, max: 400 }),
      fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 52 })),
      (bytes, frameBytes, offset) => {
        const collected = collectFrames(frameBytes);
        const counts = createEncoder(options).encode(chunkOf(bytes, { offset }), collected.frames);
        const lines = expected(bytes, offset);
        expect(collected.records().map(({ message, offset: at }) => ({ message, offset: at }))).toEqual(
          lines.map((line) => ({ message: line.message, offset: line.offset + offset })),
        );
        expect(counts.records).toBe(lines.length);
        expect(collected.opened.every((frame) => frame.records > 0)).toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
});

test("dense escapes up to the very end of a frame are all there", () => {
  const line = fc.tuple(fc.constantFrom("\u0001", '"', "a\u0002", "x"), fc.integer({ min: 0, max: 120 })).map(([unit, times]) => unit.repeat(times));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 60 }), fc.integer({ min: 1000, max: 6000 }), (lines, frameBytes) => {
      const collected = collectFrames(frameBytes);
      createEncoder(options).encode(chunkOf(utf8(lines.map((text) => `${text}\n`).join(""))), collected.frames);
      expect(collected.records().map((record) => record["message"])).toEqual(lines);
    }),
    { numRuns: 500 },
  );
});

test.each([0, 9, 10, 999_999_999, 1e9, 1e9 + 1, 4_294_967_296, 999_999_999_999, 2 ** 53 - 3])("offset %d is written as it is", (offset) => {
  const collected = collectFrames();
  createEncoder(options).encode(chunkOf(utf8("\n\n"), { offset }), collected.frames);
  expect(collected.records().map((record) => record["offset"])).toEqual([offset, offset + 1]);
});

test("however whole lines are cut into chunks, the records are the same", () => {
  fc.assert(
    fc.property(hostile, fc.array(fc.nat(), { maxLength: 5 }), (bytes, cuts) => {
      const ends = [...bytes.keys()].filter((index) => bytes[index] === 10).map((index) => index + 1);
      const borders = [0, ...cuts.map((cut) => ends[cut % Math.max(1, ends.length)] ?? 0), bytes.length].sort((a, b) => a - b);
      const whole = collectFrames();
      createEncoder(options).encode(chunkOf(bytes, { offset: 0 }), whole.frames);
      const pieces = collectFrames();
      const encoder = createEncoder(options);
      for (const [index, end] of borders.slice(1).entries()) {
        const start = borders[index] ?? 0;
        encoder.encode(chunkOf(bytes.subarray(start, end), { offset: start }), pieces.frames);
      }
      expect(pieces.bytes().equals(whole.bytes())).toBe(true);
    }),
  );
});

test("a line that is too long is cut between characters, flagged and counted", () => {
  fc.assert(
    fc.property(hostile, fc.integer({ min: 4, max: 30 }), fc.integer({ min: 1, max: 300 }), (bytes, lineBytesMax, frameBytes) => {
      const collected = collectFrames(frameBytes);
      const counts = createEncoder({ ...options, lineBytesMax }).encode(chunkOf(bytes, { offset: 0 }), collected.frames);
      const whole = expected(bytes, 0);
      const records = collected.records();
      expect(records.length).toBe(whole.length);
      for (const [index, { message, offset, truncated }] of records.entries()) {
        const line = whole[index];
        const text = decoder.decode(bytes.subarray(line?.offset, (line?.offset ?? 0) + lineBytesMax));
        expect(offset).toBe(line?.offset);
        if (truncated !== true) expect(message).toBe(line?.message);
        else if (line?.message.includes("\ufffd") === true) expect(text.startsWith(String(message).replace(/\ufffd+$/, ""))).toBe(true);
        else expect(text.replace(/\ufffd$/, "")).toBe(String(message));
      }
      expect(counts.truncated).toBe(records.filter((record) => record["truncated"] === true).length);
    }),
    { numRuns: 1000 },
  );
});

test("a line is not cut when only its end is beyond the bound", () => {
  const collected = collectFrames();
  const counts = createEncoder({ ...options, lineBytesMax: 4 }).encode(chunkOf(utf8("abcd\r\nabcde\r\nab日\n")), collected.frames);
  expect(collected.records().map((record) => record["message"])).toEqual(["abcd", "abcd", "ab"]);
  expect(counts.truncated).toBe(2);
});

test("what a source has cut is counted, and records with bytes that are not UTF-8 are too", () => {
  const encoder = createEncoder(options);
  expect(encoder.encode(chunkOf(utf8("abc\n"), { truncated: true }), collectFrames().frames).truncated).toBe(1);
  const bytes = Uint8Array.from([0x61, 0xff, 0xfe, 10, 0x62, 10, 0xc3, 10]);
  expect(encoder.encode(chunkOf(bytes), collectFrames().frames)).toMatchObject({ records: 3, invalidUtf8: 2 });
});

test("frames fill up: of a mebibyte less than one record is left free, whatever escapes are in the lines", () => {
  const collected = collectFrames();
  const line = `${"x".repeat(200)}"\u0001"${"y".repeat(90)}\n`;
  createEncoder(options).encode(chunkOf(utf8(line.repeat(20_000)), { offset: 0 }), collected.frames);
  expect(collected.opened.length).toBeGreaterThan(5);
  for (const frame of collected.opened.slice(0, -1)) expect(frame.bytes.length - frame.length).toBeLessThan(800);
  expect(collected.records().length).toBe(20_000);
});

test("one line that grows six times beyond any frame still becomes one record", () => {
  const collected = collectFrames(64 * 1024);
  createEncoder(options).encode(chunkOf(new Uint8Array(1024 * 1024).fill(1)), collected.frames);
  expect(collected.records().map((record) => String(record["message"]).length)).toEqual([1024 * 1024]);
});

test("NUL bytes before a line are left out and counted, within a line they stay; a byte order mark goes at the begin of the file alone", () => {
  const encoder = createEncoder(options);
  const read = (bytes: Uint8Array, offset: number): unknown[] => {
    const collected = collectFrames();
    const { nulRuns } = encoder.encode(chunkOf(bytes, { offset }), collected.frames);
    return [nulRuns, ...collected.records().map((record) => [record["message"], record["offset"]])];
  };
  expect(read(utf8("\0\0\0a\n\0b\0\0c\n\n\0\0"), 0)).toEqual([3, ["a", 3], ["b\0\0c", 6], ["", 11]]);
  expect(read(utf8("\0\0\0\0"), 0)).toEqual([1]);
  expect(read(utf8("\ufeffa\n\ufeffb\n"), 0)).toEqual([0, ["a", 3], ["\ufeffb", 5]]);
  expect(read(utf8("\ufeffa\n"), 5)).toEqual([0, ["\ufeffa", 5]]);
  expect(read(utf8("\ufeff"), 0)).toEqual([0]);
});
