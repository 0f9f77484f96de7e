import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { collectFrames } from "../../test/support/frames.ts";
import type { Chunk, StreamFields } from "../core/contract.ts";
import { createEncoder } from "./encoder.ts";

const readMs = Date.UTC(2026, 10, 23, 1, 30, 20);
const fields: StreamFields = { from: true, source: true, host: false, labels: ["env"] };
const encoderWith = (used: StreamFields = fields) => createEncoder({ name: "ingest", host: "central", labels: { env: "hub" }, fields: used });
const chunkOf = (text: string | Uint8Array): Chunk => ({
  bytes: typeof text === "string" ? new TextEncoder().encode(text) : text,
  form: "ndjson",
  readMs,
});
const own = (more: Record<string, unknown> = {}): string =>
  JSON.stringify({
    timestamp: "2026-11-23T01:29:00.123456789Z",
    host: "edge-1",
    source: "nginx",
    labels: { env: "prod" },
    message: 'a "b"',
    ...more,
  });

test("a record of another logferry stays byte for byte, with its own stream and time", () => {
  const collected = collectFrames();
  const counts = encoderWith().encode(chunkOf(`${own()}\n  ${own({ x: 1 })} \r\n\n`), collected.frames);
  expect(collected.bytes().toString()).toBe(`${own()}\n${own({ x: 1 })}\n`);
  const timeMs = Date.UTC(2026, 10, 23, 1, 29, 0) + 123.456789;
  expect(collected.opened).toMatchObject([{ stream: { from: "ingest", source: "nginx", labels: { env: "prod" } }, minMs: timeMs, maxMs: timeMs }]);
  expect(counts).toEqual({ records: 2, invalidUtf8: 0, truncated: 0, keptAsText: 0, timeRejected: 0, lastMs: timeMs });
});

test("any other object becomes data, its bytes as they are", () => {
  const collected = collectFrames();
  encoderWith().encode(chunkOf('{"n": 12345678901234567890, "s":"\\u00e9"}\n'), collected.frames);
  expect(collected.bytes().toString()).toBe(
    '{"timestamp":"2026-11-23T01:30:20.000000Z","host":"central","source":"ingest","labels":{"env":"hub"},"data":{"n": 12345678901234567890, "s":"\\u00e9"}}\n',
  );
  expect(collected.opened).toMatchObject([{ stream: { from: "ingest", source: "ingest", labels: { env: "hub" } }, minMs: readMs }]);
});

test("an object that a reader would stumble over is kept as text and counted, also one that looks like ours", () => {
  const collected = collectFrames();
  const lines = ['{"a":1,"A":2}', '{"a":"\\ud800"}', '{"a":1e999}', `${own().slice(0, -1)},"HOST":"x"}`];
  const counts = encoderWith().encode(chunkOf(lines.join("\n")), collected.frames);
  expect(collected.records().map((record) => record["message"])).toEqual(lines);
  expect(counts).toMatchObject({ records: 4, keptAsText: 4 });
});

test.each([
  ["timestamp", 12],
  ["timestamp", "yesterday"],
  ["host", null],
  ["source", { a: 1 }],
  ["labels", ["env"]],
  ["labels", { env: 1 }],
])("an object whose %s is %j is not one of ours: it becomes data", (name, value) => {
  const collected = collectFrames();
  const line = own({ [name]: value });
  // Before and after records that are ours: what was remembered of those must not be taken for this one.
  encoderWith().encode(chunkOf(`${own()}\n${line}\n${own()}\n`), collected.frames);
  expect(collected.records().map((record) => record["data"])).toEqual([undefined, JSON.parse(line), undefined]);
});

test("one bad line: nothing is written, and the fault names the line and the reason", () => {
  const collected = collectFrames();
  const refused = (text: string | Uint8Array): unknown => {
    try {
      return encoderWith().encode(chunkOf(text), collected.frames);
    } catch (cause) {
      return cause;
    }
  };
  expect(refused(`${own()}\n\n[1]\n`)).toMatchObject({
    code: "record_invalid",
    retry: "poison",
    record: 3,
    message: "line 3: not a JSON object (at byte 1 of the line)",
  });
  expect(refused('{"a":1}\n{"a":}')).toMatchObject({ record: 2, message: "line 2: expected a value (at byte 6 of the line)" });
  expect(refused(Uint8Array.from([0x7b, 0x7d, 10, 0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toMatchObject({
    record: 2,
    message: "line 2: not valid UTF-8",
  });
  expect(collected.opened).toEqual([]);
});

test("a sender that is bound to sources brings no others, its own records or what is wrapped here", () => {
  const encode =
    (text: string, form: Chunk["form"], ...sources: string[]): (() => number) =>
    () =>
      encoderWith().encode({ ...chunkOf(text), form, sources: new Set(sources) }, collected.frames).records;
  const collected = collectFrames();
  expect(encode(`${own()}\n${own({ source: "app" })}\n`, "ndjson", "nginx")).toThrow('line 2: this token may not bring records of source "app"');
  // Not quite a record of ours, so it would be stored as one of this source's.
  expect(encode(own({ timestamp: "now" }), "ndjson", "nginx")).toThrow('line 1: this token may not bring records of source "ingest"');
  expect(encode("text", "lines", "nginx")).toThrow('source "ingest"');
  expect(collected.opened).toEqual([]);
  expect(encode(`${own()}\n{}\n`, "ndjson", "nginx", "ingest")()).toBe(2);
});

test("records are put by stream and quarter hour, whatever order they come in", () => {
  const kinds = fc.record({
    minute: fc.integer({ min: 0, max: 59 }),
    host: fc.constantFrom("a", "b"),
    env: fc.constantFrom("prod", "test", undefined),
    foreign: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(kinds, { maxLength: 40 }), fc.integer({ min: 1, max: 2000 }), (records, frameBytes) => {
      const lines = records.map(({ minute, host, env, foreign }, index) =>
        foreign
          ? JSON.stringify({ index })
          : own({ timestamp: `2026-11-23T00:${String(minute).padStart(2, "0")}:00Z`, host, labels: env === undefined ? {} : { env }, index }),
      );
      const collected = collectFrames(frameBytes);
      encoderWith({ from: false, source: false, host: true, labels: ["env"] }).encode(chunkOf(lines.join("\n")), collected.frames);
      const seen: number[] = [];
      for (const frame of collected.opened) {
        for (const line of new TextDecoder().decode(frame.bytes.subarray(0, frame.length)).trimEnd().split("\n")) {
          const record = JSON.parse(line) as { timestamp: string; host: string; labels?: { env?: string }; index?: number; data?: { index: number } };
          const timeMs = Date.parse(record.timestamp);
          expect(Math.floor(timeMs / (15 * 60_000))).toBe(frame.quarter);
          expect(timeMs >= frame.minMs && timeMs <= frame.maxMs).toBe(true);
          expect(frame.stream.host).toBe(record.host);
          expect(frame.stream.labels?.["env"]).toBe(record.labels?.env);
          seen.push(record.index ?? record.data?.index ?? -1);
        }
      }
      expect(seen).toEqual(records.map((_, index) => index));
      expect(collected.records().length).toBe(records.length);
    }),
  );
});

test("a time that is not credible does not choose the frame, the read time does", () => {
  const collected = collectFrames();
  const lines = ["1970-01-01T00:00:00Z", "2099-01-01T00:00:00Z", "2026-11-24T01:00:00Z"].map((timestamp) => own({ timestamp }));
  const counts = encoderWith().encode(chunkOf(lines.join("\n")), collected.frames);
  expect(counts).toMatchObject({ records: 3, timeRejected: 2, lastMs: Date.UTC(2026, 10, 24, 1) });
  expect(collected.opened.map((frame) => frame.minMs)).toEqual([readMs, Date.UTC(2026, 10, 24, 1)]);
  expect(collected.bytes().toString()).toBe(`${lines.join("\n")}\n`);
});

test("a whole chunk of lines that went out comes back the same, through any size of frame", () => {
  const collected = collectFrames();
  const text = Array.from({ length: 5000 }, (_, index) => `line ${index} "quoted" ${"x".repeat(index % 300)}`).join("\n");
  createEncoder({ name: "nginx", host: "edge-1", labels: {}, fields }).encode(
    { bytes: new TextEncoder().encode(text), form: "lines", readMs, offset: 0 },
    collected.frames,
  );
  const received = collectFrames(4096);
  const counts = encoderWith().encode(chunkOf(collected.bytes()), received.frames);
  expect(counts.records).toBe(5000);
  expect(received.bytes().equals(collected.bytes())).toBe(true);
});

test("any objects, ours among them, good and bad: by the kernel the same records, counts and faults as line by line", () => {
  const line = fc.oneof(
    {
      weight: 20,
      arbitrary: fc
        .record({ n: fc.integer(), more: fc.dictionary(fc.string({ maxLength: 9 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }) })
        .map(({ n, more }) => own({ n, ...more })),
    },
    {
      weight: 20,
      arbitrary: fc.dictionary(fc.string({ maxLength: 20 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 5 }).map((object) => JSON.stringify(object)),
    },
    {
      weight: 8,
      arbitrary: fc.constantFrom(
        own({ host: "edge-2" }),
        own({ labels: {} }),
        own({ timestamp: "2031-01-01T00:00:00Z" }),
        own({ source: 1 }),
        own({ labels: { env: 1 } }),
      ),
    },
    { weight: 4, arbitrary: fc.constantFrom("", " ", "\r", '{"a":1,"A":2}', '{"a":"\\ud800"}', '{"a":1e400}', ` ${own()} \r`) },
  );
  const bad = fc.constantFrom("", "", "", "", '{"a":1', "[1]", '{"a":01}', `${own()}x`);
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 40 }),
      bad,
      fc.nat(),
      fc.integer({ min: 1, max: 4 }),
      fc.constantFrom(2000, 100_000),
      (lines, wrong, at, times, frameBytes) => {
        const all = Array.from({ length: times }, () => lines).flat();
        if (wrong !== "") all.splice(at % all.length, 0, wrong);
        const chunk = chunkOf(`${all.join("\n")}\n${"\n".repeat(4096)}`);
        const [kernel, plain] = (["fastest", "plain"] as const).map((loop) => {
          const collected = collectFrames(frameBytes);
          const encoder = createEncoder({ name: "ingest", host: "central", labels: { env: "hub" }, fields, loop });
          try {
            const counts = encoder.encode({ ...chunk, offset: 7 }, collected.frames);
            return {
              counts,
              bytes: collected.bytes().toString(),
              frames: collected.opened.map(({ key, records, minMs, maxMs }) => [key, records, minMs, maxMs]),
            };
          } catch (cause) {
            return { fault: String(cause), bytes: collected.bytes().toString() };
          }
        });
        expect(kernel).toEqual(plain);
      },
    ),
    { numRuns: 600 },
  );
});
