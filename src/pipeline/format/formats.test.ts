import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { collectFrames } from "../../../test/support/frames.ts";
import type { LineKeys } from "../../core/format.ts";
import type { Chunk } from "../../core/contract.ts";
import { createEncoder, type Encoded, type EncoderOptions } from "../encoder.ts";

const readMs = Date.UTC(2026, 10, 23, 1, 30, 20) + 590.123;
const fields = { from: false, source: false, host: false, labels: [] };
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

type Rows = Record<string, unknown>[];

function encode(keys: LineKeys, input: string | Uint8Array, more: Partial<Chunk & EncoderOptions> = {}): { rows: Rows; counts: Encoded } {
  const { lineBytesMax, emptyLines, ...chunk } = more;
  const collected = collectFrames();
  const bounds = { ...(lineBytesMax === undefined ? {} : { lineBytesMax }), ...(emptyLines === undefined ? {} : { emptyLines }) };
  const encoder = createEncoder({ name: "app", host: "edge-1", labels: { env: "prod" }, fields, keys, ...bounds });
  const bytes = typeof input === "string" ? utf8(input) : input;
  const counts = encoder.encode({ bytes, form: "lines", readMs, ...chunk }, collected.frames);
  return { rows: collected.records(), counts };
}

const messages = (rows: Rows): unknown[] => rows.map(({ message }) => message);

test("json: an object becomes data, its bytes as they are; what is none stays text and is counted", () => {
  const { rows, counts } = encode({ format: "json" }, '{"a": 1.0}\n  {"b":"é"} \r\nplain\n[1]\n{"a":1,"A":2}\n\n', { offset: 100, file: "/x" });
  expect(rows).toEqual([
    { timestamp: "2026-11-23T01:30:20.590123Z", host: "edge-1", source: "app", file: "/x", offset: 100, labels: { env: "prod" }, data: { a: 1 } },
    expect.objectContaining({ offset: 111, data: { b: "é" } }),
    expect.objectContaining({ message: "plain" }),
    expect.objectContaining({ message: "[1]" }),
    expect.objectContaining({ message: '{"a":1,"A":2}' }),
    expect.objectContaining({ message: "" }),
  ]);
  expect(counts).toMatchObject({ records: 6, mismatched: 2, keptAsText: 1 });
  expect(JSON.stringify(encode({ format: "json" }, '{"a": 1.0}\n').rows)).toContain('"data":{"a":1}');
});

test("json as text: data is always text, also of an object that a reader would stumble over", () => {
  const { rows, counts } = encode({ format: "json", data_as: "string" }, '{"a":"\\n"}\n{"a":1,"A":2}\nx\n');
  expect(rows.map(({ data, message }) => data ?? { message })).toEqual(['{"a":"\\n"}', '{"a":1,"A":2}', { message: "x" }]);
  expect(counts).toMatchObject({ keptAsText: 0, mismatched: 1 });
});

test("cri: time, stream and content; parts of a line are joined by stream, whatever the other one says between", () => {
  const lines = [
    "2026-11-23T01:00:00.000000001Z stdout F whole line",
    "2026-11-23T01:00:01.5Z stdout P begin ",
    "2026-11-23T01:00:02+01:00 stderr F between",
    "2026-11-23T01:00:03Z stdout P middle ",
    "2026-11-23T01:00:04Z stdout F:future end",
    "2026-11-23T01:00:05Z stdout F ",
    "2026-11-23T01:00:05Z stdout F",
    "2026-11-23T01:00:05Z stdout X none",
    "no cri at all",
  ];
  const { rows, counts } = encode({ format: "cri" }, `${lines.join("\n")}\n`, { offset: 0 });
  expect(rows.map(({ timestamp, stream, message, offset }) => [timestamp, stream, message, offset])).toEqual([
    ["2026-11-23T01:00:00.000000001Z", "stdout", "whole line", 0],
    ["2026-11-23T00:00:02.000000Z", "stderr", "between", 90],
    ["2026-11-23T01:00:01.500000Z", "stdout", "begin middle end", 51],
    ["2026-11-23T01:00:05.000000Z", "stdout", "", expect.any(Number)],
    ["2026-11-23T01:00:05.000000Z", "stdout", "", expect.any(Number)],
    ["2026-11-23T01:30:20.590123Z", undefined, lines[7], expect.any(Number)],
    ["2026-11-23T01:30:20.590123Z", undefined, "no cri at all", expect.any(Number)],
  ]);
  expect(counts).toMatchObject({ mismatched: 2 });
});

test("cri: the end of a line that never came makes a partial record, one that is too long is cut", () => {
  const part = "2026-11-23T01:00:00Z stdout P abc\n";
  expect(encode({ format: "cri" }, part.repeat(2)).rows).toEqual([expect.objectContaining({ message: "abcabc", partial: true })]);
  const { rows, counts } = encode({ format: "cri" }, `${part.repeat(2)}2026-11-23T01:00:00Z stdout F éé\n`, { lineBytesMax: 7 });
  expect(rows).toEqual([expect.objectContaining({ message: "abcabc", truncated: true })]);
  expect(counts.truncated).toBe(1);
});

test("docker: log, stream and time, whatever the order and whatever stands beside them; parts are joined", () => {
  const time = "2026-11-23T01:00:00.123456789Z";
  const lines = [
    { log: 'a "quoted" \\ é 🚚 <tag>\n', stream: "stdout", time },
    { log: "part ", stream: "stderr", time },
    { time, stream: "stdout", attrs: { tag: "x" }, log: "other order\r\n" },
    { log: "rest\n", stream: "stderr", attrs: { a: "b" }, time },
    { log: "\n", stream: "stdout", time },
    { log: 1, stream: "stdout", time },
  ].map((line) => JSON.stringify(line).replaceAll("<", "\\u003c"));
  const { rows, counts } = encode({ format: "docker" }, `${lines.join("\n")}\nnone\n`);
  expect(rows.map(({ timestamp, stream, message }) => [timestamp, stream, message])).toEqual([
    [time, "stdout", 'a "quoted" \\ é 🚚 <tag>'],
    [time, "stdout", "other order\r"],
    [time, "stderr", "part rest"],
    [time, "stdout", ""],
    ["2026-11-23T01:30:20.590123Z", undefined, lines[5]],
    ["2026-11-23T01:30:20.590123Z", undefined, "none"],
  ]);
  expect(counts.mismatched).toBe(2);
});

test("docker: any text comes back as it was", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 40 }), { maxLength: 10 }), fc.boolean(), (texts, ascii) => {
      const escape = (json: string): string =>
        ascii ? json.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`) : json;
      const lines = texts.map((text) => escape(JSON.stringify({ log: `${text}\n`, stream: "stdout", time: "2026-11-23T01:00:00Z" })));
      expect(messages(encode({ format: "docker" }, lines.map((line) => `${line}\n`).join("")).rows)).toEqual(
        texts.map((text) => text.toWellFormed()),
      );
    }),
    { numRuns: 500 },
  );
});

test("logfmt: pairs to an object of texts", () => {
  const { rows, counts } = encode({ format: "logfmt" }, 'level=info msg="a \\"word\\"\\n\\u00e9" n=3 debug url=http://x/?a=b empty= q=""\n');
  expect(rows[0]?.["data"]).toEqual({ level: "info", msg: 'a "word"\né', n: "3", debug: "true", url: "http://x/?a=b", empty: "", q: "" });
  expect(counts.mismatched).toBe(0);
  const none = ["just words", '"quoted" a=b', "=x a=b", 'a="open', 'a="b"c d=e', 'k"ey=1 a=b'];
  const kept = encode({ format: "logfmt" }, `${none.join("\n")}\na=1 A=2\n`);
  expect(messages(kept.rows)).toEqual([...none, "a=1 A=2"]);
  expect(kept.counts).toMatchObject({ mismatched: 6, keptAsText: 1 });
});

test("logfmt: what a plain writer writes comes back", () => {
  const key = fc.stringMatching(/^[a-z_.é]{1,8}$/u);
  const value = fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.toWellFormed());
  fc.assert(
    fc.property(fc.dictionary(key, value, { minKeys: 1, maxKeys: 6, noNullPrototype: true }), (pairs) => {
      const folded = new Set(Object.keys(pairs).map((name) => name.toUpperCase()));
      fc.pre(folded.size === Object.keys(pairs).length);
      const line = Object.entries(pairs)
        .map(([name, text]) => `${name}=${/^[!#-~]+$/.test(text) ? text : JSON.stringify(text)}`)
        .join(" ");
      expect(encode({ format: "logfmt" }, `${line}\n`).rows[0]?.["data"]).toEqual(pairs);
    }),
    { numRuns: 500 },
  );
});

test("logfmt: a key that stands twice, in any case, among few and among many, is found", () => {
  const key = fc.constantFrom("a", "A", "b", "é", "É", "ſ", "s", "K", "\u212a", ...Array.from({ length: 40 }, (_, n) => `k${n}`));
  fc.assert(
    fc.property(fc.array(key, { minLength: 1, maxLength: 45 }), (keys) => {
      const line = keys.map((name) => `${name}=1`).join(" ");
      const twice = new Set(keys.map((name) => name.toUpperCase().toLowerCase())).size < keys.length;
      const { counts } = encode({ format: "logfmt" }, `${line}\n`);
      expect([counts.keptAsText, counts.mismatched]).toEqual([twice ? 1 : 0, 0]);
    }),
    { numRuns: 1000 },
  );
});

test("json: as JSON.parse has it, for any object and any other text", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.json(), fc.string({ unit: "binary" })), { maxLength: 6 }), (texts) => {
      const lines = texts.map((text) =>
        text
          .replaceAll(/[\r\n]/g, " ")
          .replace(/^\0+/, "")
          .toWellFormed(),
      ); // NULs before a line go
      const { rows } = encode({ format: "json" }, lines.map((line) => `${line}\n`).join(""));
      for (const [index, line] of lines.entries()) {
        const { data, message } = rows[index] ?? {};
        if (data === undefined) expect(message).toBe(line);
        else expect(data).toEqual(JSON.parse(line));
      }
      expect(rows.length).toBe(lines.length);
    }),
    { numRuns: 500 },
  );
});

const keysOfAll: LineKeys[] = [
  { format: "json" },
  { format: "json", data_as: "string", timestamp: { format: "rfc3339", key: "time" } },
  { format: "cri" },
  { format: "docker" },
  { format: "logfmt", timestamp: { format: "epoch_ms", key: "t" } },
  { format: "plain", timestamp: { format: "%Y-%m-%d %H:%M:%S" } },
  { format: "json", multiline: { start: "^\\{", lines_max: 3, bytes_max: 200, timeout: 1000 } },
  ...(["java", "python", "go", "ruby", "node"] as const).map((preset) => ({ multiline: { preset, lines_max: 5, bytes_max: 100, timeout: 1000 } })),
];

test("hostile bytes: valid JSON whatever comes, in every format", () => {
  const pieces = [
    "\n",
    "\r\n",
    "\0",
    '"',
    "\\",
    "{",
    "}",
    '{"log":"',
    '\\n","stream":"stdout","time":"2026-11-23T01:00:00Z"}',
    "2026-11-23T01:00:00Z",
    " stdout P ",
    " stderr F x",
  ];
  const more = [
    '{"a":',
    '"\\ud800"',
    "a=",
    'k="',
    "\tat ",
    "Caused by:",
    "Traceback (most recent call last):",
    "panic: ",
    "goroutine 1",
    "é",
    "\u2028",
    "a",
  ];
  const bytes = [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xf0, 0x9f]].map((list) => Uint8Array.from(list));
  const piece = fc.oneof(fc.constantFrom(...[...pieces, ...more].map(utf8), ...bytes), fc.uint8Array({ maxLength: 8 }));
  fc.assert(
    fc.property(fc.constantFrom(...keysOfAll), fc.array(piece, { maxLength: 40 }), fc.integer({ min: 4, max: 100 }), (keys, parts, lineBytesMax) => {
      encode(keys, Buffer.concat(parts), { lineBytesMax, offset: 0 });
    }),
    { numRuns: 3000 },
  );
});

test("a huge line is cut in every format, and costs no record after it", () => {
  for (const keys of keysOfAll) {
    const { rows, counts } = encode(keys, `{"a":"${"é".repeat(100_000)}"}\nnext\n`, { lineBytesMax: 1001 });
    expect(rows.length).toBeGreaterThanOrEqual(1);
    expect(JSON.stringify(rows)).toContain("next");
    expect(counts.truncated).toBeGreaterThanOrEqual(1);
  }
});

test("timestamp: the time of the line chooses the frame; one that cannot be read or believed is counted and leaves the read time", () => {
  const collected = collectFrames();
  const keys: LineKeys = { timestamp: { format: "syslog", zone: "Europe/Berlin" } };
  const encoder = createEncoder({ name: "app", host: "edge-1", labels: {}, fields, keys });
  const lines = ["<34>Nov 23 02:14:59 host a", "Nov 23 02:15:00 host b", "no time", "  [Nov 23 02:29:59] c"];
  const counts = encoder.encode({ bytes: utf8(`${lines.join("\n")}\n`), form: "lines", readMs }, collected.frames);
  expect(collected.records().map(({ timestamp }) => timestamp)).toEqual([
    "2026-11-23T01:14:59.000000Z",
    "2026-11-23T01:15:00.000000Z",
    "2026-11-23T01:30:20.590123Z",
    "2026-11-23T01:29:59.000000Z",
  ]);
  expect(collected.opened.map(({ minMs, maxMs, records }) => [new Date(minMs).toISOString(), new Date(maxMs).toISOString(), records])).toEqual([
    ["2026-11-23T01:14:59.000Z", "2026-11-23T01:14:59.000Z", 1],
    ["2026-11-23T01:15:00.000Z", "2026-11-23T01:15:00.000Z", 1],
    ["2026-11-23T01:30:20.590Z", "2026-11-23T01:30:20.590Z", 1],
    ["2026-11-23T01:29:59.000Z", "2026-11-23T01:29:59.000Z", 1],
  ]);
  expect(counts).toMatchObject({ records: 4, timeUnread: 1, timeRejected: 0, lastMs: Date.UTC(2026, 10, 23, 1, 29, 59) });
  const old = encode({ timestamp: { format: "epoch_s", after: "t=" } }, "x t=1000000000.5 y\nt=99999999999\n");
  expect(old.rows).toMatchObject([
    { timestamp: "2026-11-23T01:30:20.590123Z", time_rejected: "2001-09-09T01:46:40.500000Z", message: "x t=1000000000.5 y" },
    { timestamp: "2026-11-23T01:30:20.590123Z", time_rejected: "5138-11-16T09:46:39.000000Z" },
  ]);
  expect(old.counts).toMatchObject({ timeRejected: 2, timeUnread: 0 });
});

test("timestamp: by a key of JSON and logfmt, text or number, and nothing beside it", () => {
  const time = (keys: LineKeys, line: string): unknown => encode(keys, `${line}\n`).rows[0]?.["timestamp"];
  const read = "2026-11-23T01:30:20.590123Z";
  const json: LineKeys = { format: "json", timestamp: { format: "rfc3339", key: "a b" } };
  expect(time(json, '{"x":{"a b":"2025-01-01T00:00:00Z"},"a b":"2026-11-23T02:00:00.123456789+01:00"}')).toBe("2026-11-23T01:00:00.123456789Z");
  expect(time(json, '{"a b":"2026-11-23T02:00:00Z x"}')).toBe(read);
  expect(time(json, '{"a b":null}')).toBe(read);
  expect(time(json, "2026-11-23T02:00:00Z")).toBe(read);
  expect(time({ format: "json", timestamp: { format: "epoch_ms", key: "t" } }, '{"t":1795395600123}')).toBe("2026-11-23T01:00:00.123000Z");
  expect(time({ format: "json", timestamp: { format: "epoch_ms", key: "t" } }, '{"t":"1795395600123"}')).toBe("2026-11-23T01:00:00.123000Z");
  const logfmt: LineKeys = { format: "logfmt", timestamp: { format: "%Y-%m-%d %H:%M", key: "at" } };
  expect(time(logfmt, 'n=1 at="2026-11-23 01:00" attic=2')).toBe("2026-11-23T01:00:00.000000Z");
  expect(time(logfmt, "n=1 att=2026-11-23")).toBe(read);
  expect(time({ timestamp: { format: "clf" } }, '127.0.0.1 - - [23/Nov/2026:02:00:00 +0100] "GET /"')).toBe("2026-11-23T01:00:00.000000Z");
  expect(time({ format: "cri", timestamp: { format: "epoch_s" } }, "2026-11-23T01:00:00Z stdout F no time")).toBe("2026-11-23T01:00:00.000000Z");
});
