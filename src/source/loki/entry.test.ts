import { describe, expect, test } from "bun:test";
import { byTime, canonicalLabels, Decoder } from "./entry.ts";

const decoder = new Decoder("edge-1", "app", { env: "prod" });
const time = "1795397420123456789";

/** Records of one stream as they are written. */
function written(stream: Record<string, string>, values: unknown[]): unknown[] {
  return Buffer.from(decoder.records(decoder.entries([{ stream, values }])))
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);
}

describe("records", () => {
  test("have the entry's time, labels with the configured ones, metadata and what was parsed apart", () => {
    const extra = { structuredMetadata: { trace: "7" }, parsed: { level: "info" } };
    expect(written({ app: "web", __stream_shard__: "3" }, [[time, "a\nb", extra]])).toEqual([
      {
        timestamp: "2026-11-23T01:30:20.123456789Z",
        host: "edge-1",
        source: "app",
        labels: { app: "web", env: "prod" },
        metadata: { trace: "7" },
        parsed: { level: "info" },
        message: "a\nb",
      },
    ]);
  });

  test("are what readers take: no lone surrogate, no names that differ in case only", () => {
    expect(written({ App: "x", app: "y" }, [[time, "half \ud800", {}]])).toMatchObject([
      { labels: { App: "x", app_2: "y", env: "prod" }, message: "half \ufffd" },
    ]);
  });
});

describe("the identity", () => {
  const keysOf = (stream: Record<string, string>, value: unknown[]): string => {
    const [entry] = decoder.entries([{ stream, values: [value] }]);
    return `${entry?.bucket} ${entry?.high} ${entry?.low}`;
  };

  test("is labels in any order, time, line and metadata; not what a stage parsed", () => {
    const one = keysOf({ a: "1", b: "2" }, [time, "line", { structuredMetadata: { x: "1" } }]);
    expect(keysOf({ b: "2", a: "1" }, [time, "line", { structuredMetadata: { x: "1" }, parsed: { y: "2" } }])).toBe(one);
    const others = [
      keysOf({ a: "1", b: "3" }, [time, "line", { structuredMetadata: { x: "1" } }]),
      keysOf({ a: "1", b: "2" }, ["1795397420123456788", "line", { structuredMetadata: { x: "1" } }]),
      keysOf({ a: "1", b: "2" }, [time, "line ", { structuredMetadata: { x: "1" } }]),
      keysOf({ a: "1", b: "2" }, [time, "line", { structuredMetadata: { x: "2" } }]),
      keysOf({ a: "1", b: "2" }, [time, "line", {}]),
    ];
    expect(new Set([one, ...others]).size).toBe(6);
  });

  test("names a stream by its labels as JSON, whatever they are called", () => {
    expect(canonicalLabels({ b: '"', a: "1", __proto__x: "y" })).toBe('{"__proto__x":"y","a":"1","b":"\\""}');
  });
});

test("what is not made as Loki makes it is a TypeError", () => {
  for (const streams of [undefined, [{}], [{ stream: {}, values: [["x", "line"]] }], [{ stream: {}, values: [[time, 7]] }]])
    expect(() => decoder.entries(streams)).toThrow(TypeError);
});

test("entries are put in order by time, equal ones as they came", () => {
  const entries = decoder.entries([
    {
      stream: { a: "1" },
      values: [
        ["2000000003", "c"],
        ["2000000001", "a"],
        ["2000000003", "d"],
        ["1999999999", "0"],
      ],
    },
  ]);
  expect(byTime(entries).map(({ line }) => line)).toEqual(["0", "a", "c", "d"]);
});
