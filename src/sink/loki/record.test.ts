/** A record as an entry: held against a plain reading of its JSON, whatever its lines and keys. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import * as v from "valibot";
import { schema } from "./config.ts";
import { type Entry, Records } from "./record.ts";
import { Streams } from "./stream.ts";

const recordsOf = (overrides: Record<string, unknown> = {}): Records => {
  const config = v.parse(schema, { type: "loki", url: "http://a", ...overrides });
  return new Records(config, new Streams(config));
};
const lineOf = (entry: Entry): string => Buffer.from(entry.line).toString();
const shown = (entry: Entry): unknown[] => [
  entry.stream.text,
  `${entry.seconds}.${String(entry.nanos).padStart(9, "0")}`,
  lineOf(entry),
  Object.fromEntries(entry.metadata.flatMap((name, at) => (at % 2 === 0 ? [[name, entry.metadata[at + 1] ?? ""]] : []))),
];
const read = (record: object | string, overrides?: Record<string, unknown>): unknown[] =>
  shown(recordsOf(overrides).entryOf(Buffer.from(typeof record === "string" ? record : JSON.stringify(record)), 7));

const own = { timestamp: "2026-11-23T01:30:20.590123Z", host: "edge-1", source: "nginx", file: "/a.log", offset: 183 };

describe("a record", () => {
  test("of a file: labels, exact time, line, offset", () => {
    expect(read({ ...own, labels: { env: "prod" }, message: "GET /" })).toEqual([
      '{env="prod", file="/a.log", host="edge-1", source="nginx"}',
      "1795397420.590123000",
      "GET /",
      { offset: "183" },
    ]);
  });

  test("without an offset says its sequence, which keeps equal lines apart", () => {
    expect(read({ timestamp: own.timestamp, host: "h", source: "s", message: "a" }).at(-1)).toEqual({ sequence: "7" });
  });

  test("with data keeps its bytes", () => {
    const data = '{"n":1.50,"big":12345678901234567890 ,"a":"\\u00e9"}';
    expect(read(`${JSON.stringify({ ...own, labels: { a: "b" } }).slice(0, -1)},"data":${data}}`)[2]).toBe(data);
    expect(read(`{"data":${data},"source":"s","host":"h","timestamp":"2026-11-23T01:30:20Z"}`)[2]).toBe(data);
  });

  test("that came from Loki keeps metadata and nanoseconds; what a query parsed out of its line is in its line", () => {
    const record = { timestamp: "2026-11-23T01:30:20.000000001Z", host: "h", source: "s", labels: { app: "x" }, metadata: { trace: "1" }, parsed: { p: "q" }, message: "a" }; // prettier-ignore
    expect(read(record)).toEqual(['{app="x", host="h", source="s"}', "1795397420.000000001", "a", { trace: "1", sequence: "7" }]);
    expect(read({ ...record, metadata: { offset: "3" } }).at(-1)).toEqual({ offset: "3" });
    expect(read(record, { metadata: "own", labels: { "*": "{labels}" } })).toEqual(['{app="x"}', "1795397420.000000001", "a", { trace: "1" }]);
    expect(read(record, { metadata: "none" }).at(-1)).toEqual({});
  });

  test("says in metadata what no label says, flags and output too", () => {
    const record = { ...own, stream: "stderr", partial: true, truncated: true, labels: { env: "prod", "k8s/app": "a" }, message: "m" };
    const labels = { job: "x-{labels.env}" };
    const rest = { host: "edge-1", source: "nginx", file: "/a.log", stream: "stderr", "k8s/app": "a", offset: "183", partial: "true", truncated: "true" }; // prettier-ignore
    expect(read(record, { labels })).toEqual(['{job="x-prod"}', "1795397420.590123000", "m", rest]);
    const rejected = { ...record, time_rejected: "1970-01-01T00:00:00Z" };
    expect(read(rejected, { labels }).at(-1)).toEqual({ ...rest, time_rejected: "1970-01-01T00:00:00Z" });
  });

  test("whose keys come behind its message is read whole", () => {
    expect(read(`{"timestamp":"${own.timestamp}","host":"h","source":"s","message":"a","labels":{"x":"y"}}`)[0]).toBe(
      '{host="h", source="s", x="y"}',
    );
    expect(read(`{"timestamp":"${own.timestamp}","host":"h","source":"s","message":"a\\"","labels":{"x":"y"}}`)[0]).toBe(
      '{host="h", source="s", x="y"}',
    );
  });

  test("with a longer line than the server takes is cut at a character, and says so", () => {
    const entry = recordsOf({ line_bytes_max: 64 }).entryOf(Buffer.from(JSON.stringify({ ...own, message: `${"x".repeat(63)}é` })), 1);
    expect([lineOf(entry), entry.cut, entry.metadata]).toEqual(["x".repeat(63), true, ["offset", "183", "truncated", "true"]]);
  });

  test("without a time that can be read counts as 1970, which Loki refuses and we count", () => {
    expect(read({ ...own, timestamp: "yesterday", message: "a" })[1]).toBe("0.000000000");
  });

  test("a zone, a leap second, and digits beyond nanoseconds", () => {
    const time = (timestamp: string): unknown => read({ ...own, timestamp, message: "a" })[1];
    expect(time("2026-11-23T02:30:20.5+01:00")).toBe("1795397420.500000000");
    expect(time("2016-12-31T23:59:60.25Z")).toBe("1483228800.250000000");
    expect(time("2026-11-23T01:30:20.1234567899Z")).toBe("1795397420.123456789");
  });
});

test("one after the other, records come out as their JSON says", () => {
  const text = fc.oneof(fc.string({ unit: "binary", maxLength: 20 }), fc.constantFrom('"', "\\", '","labels":{"a":"b"', "}", "é", "\u0000", ""));
  const record = fc.record(
    {
      host: fc.constantFrom("a", 'b"'),
      source: fc.constantFrom("s", "t"),
      file: fc.constantFrom("/x", "/ü"),
      offset: fc.nat(),
      partial: fc.constant(true),
      labels: fc.dictionary(fc.constantFrom("env", "app", "A b"), text, { maxKeys: 2 }),
      message: text,
    },
    { requiredKeys: ["host", "source", "message"] },
  );
  fc.assert(
    fc.property(fc.array(record, { maxLength: 8 }), (given) => {
      const together = recordsOf({ labels: { source: "{source}" } });
      for (const [at, one] of given.entries()) {
        const json = JSON.stringify({ timestamp: `2026-11-23T01:30:${10 + at}.5Z`, ...one });
        const whole = JSON.parse(json) as typeof one;
        const { labels = {}, host, file, offset, partial } = whole;
        const said: Record<string, string> = { host, ...(file === undefined ? {} : { file }), ...labels };
        const rest = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== ""));
        const place = offset === undefined ? { sequence: String(at) } : { offset: String(offset) };
        expect(shown(together.entryOf(Buffer.from(json), at))).toEqual([
          `{source="${whole.source}"}`,
          `${1795397410 + at}.500000000`,
          Buffer.from(whole.message).toString(),
          { ...rest, ...place, ...(partial === true ? { partial: "true" } : {}) },
        ]);
      }
    }),
    { numRuns: 100 },
  );
});
