/** Events against a simple reference, however the text is cut into chunks, and wherever the process was killed and began anew. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { collectFrames } from "../../../test/support/frames.ts";
import type { Json } from "../../core/contract.ts";
import type { Flow } from "../../core/flow.ts";
import type { LineKeys, Preset } from "../../core/format.ts";
import { createEncoder, type Encoder } from "../encoder.ts";

const fields = { from: false, source: false, host: false, labels: [] };
const open = (keys: LineKeys): Encoder => createEncoder({ name: "app", host: "edge-1", labels: {}, fields, keys });

interface Row {
  readonly message: string;
  readonly stream?: string;
  readonly offset: number;
}

/** One step: read so many lines more, and then whether it is committed, and whether the process is killed. */
interface Step {
  readonly lines: number;
  readonly fate: "go on" | "kill" | "kill uncommitted";
}

interface Committed {
  place: number;
  state: Json | undefined;
}

/** Reads `text` in steps, as a source does; returns the records that were committed. */
function run(keys: LineKeys, text: Buffer, steps: readonly Step[]): Row[] {
  const rows: Row[] = [];
  let encoder = open(keys);
  let committed: Committed = { place: 0, state: undefined };
  let resume: Json | undefined;
  let at = 0;
  const feed = (end: number, last: boolean, keep: boolean): void => {
    const start = at;
    let covered: Committed | undefined;
    const flow: Flow = {
      key: "file",
      start,
      ...(resume === undefined ? {} : { state: resume }),
      end: last,
      placeAt: (index) => start + index,
      cover(place, state) {
        covered = { place: place as number, state: state === undefined ? undefined : (JSON.parse(JSON.stringify(state)) as Json) };
        return {};
      },
    };
    const collected = collectFrames();
    // What the source has handed over may change once it is encoded.
    const bytes = Uint8Array.from(text.subarray(start, end));
    encoder.encode({ bytes, form: "lines", readMs: 1000, offset: start, flow }, collected.frames);
    bytes.fill(0x23);
    at = end;
    if (!keep) return;
    rows.push(...(collected.records() as unknown as Row[]));
    committed = covered as unknown as Committed;
  };
  for (const { lines, fate } of steps) {
    let end = at;
    for (let count = 0; count < lines; count++) end = text.indexOf(10, end) + 1 || text.length;
    feed(end, false, fate !== "kill uncommitted");
    if (fate === "go on") continue;
    encoder = open(keys);
    at = committed.place;
    resume = committed.state;
  }
  feed(text.length, true, true);
  return rows;
}

const step = fc.record({
  lines: fc.integer({ min: 0, max: 4 }),
  fate: fc.constantFrom<Step["fate"]>("go on", "go on", "kill", "kill uncommitted"),
});
const steps = fc.array(step, { maxLength: 40 });
const bounds = { bytes_max: 2 ** 20, timeout: 60_000 };

/** Events by patterns, said in one line each. */
function events(lines: readonly string[], keys: { start?: string; continue?: string; end?: string }): string[] {
  const found: string[][] = [];
  let ended = true;
  for (const line of lines) {
    const begins =
      ended ||
      (keys.start !== undefined && new RegExp(keys.start, "u").test(line)) ||
      (keys.continue !== undefined && !new RegExp(keys.continue, "u").test(line));
    if (begins) found.push([line]);
    else found.at(-1)?.push(line);
    ended = keys.end !== undefined && new RegExp(keys.end, "u").test(line);
  }
  return found.map((event) => event.join("\n"));
}

test("patterns: events as the reference has them, each once, through any chunks and kills", () => {
  const line = fc.array(fc.constantFrom("S", " ", "E", "é", "x"), { maxLength: 4 }).map((parts) => parts.join(""));
  const patterns = fc.constantFrom({ start: "^S" }, { continue: "^ " }, { end: "E$" }, { start: "^S", end: "E$" }, { start: "é", continue: "x" });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 30 }), patterns, steps, fc.constantFrom("\n", "\r\n"), (lines, given, way, ending) => {
      const text = Buffer.from(lines.map((each) => `${each}${ending}`).join(""));
      const rows = run({ multiline: { ...given, ...bounds, lines_max: 1000 } }, text, way);
      expect(rows.map(({ message }) => message)).toEqual(events(lines, given));
      for (const { offset, message } of rows)
        expect(
          text
            .subarray(offset)
            .toString()
            .startsWith(message.split("\n")[0] ?? ""),
        ).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test("two outputs, parts of lines, events: each once and whole, through any chunks and kills", () => {
  const physical = fc.record({
    stream: fc.constantFrom("stdout", "stderr"),
    text: fc.constantFrom("S", " a", "b", ""),
    tag: fc.constantFrom("P", "F", "F"),
  });
  fc.assert(
    fc.property(fc.array(physical, { maxLength: 30 }), fc.boolean(), steps, (lines, several, way) => {
      const text = Buffer.from(lines.map(({ stream, text: part, tag }) => `2026-11-23T01:30:20Z ${stream} ${tag} ${part}\n`).join(""));
      const rows = run({ format: "cri", ...(several ? { multiline: { start: "^S", ...bounds, lines_max: 1000 } } : {}) }, text, way);
      for (const name of ["stdout", "stderr"]) {
        const whole: string[] = [];
        let begun: string | undefined;
        for (const { stream, text: part, tag } of lines) {
          if (stream !== name) continue;
          begun = `${begun ?? ""}${part}`;
          if (tag === "P") continue;
          whole.push(begun);
          begun = undefined;
        }
        if (begun !== undefined) whole.push(begun);
        const expected = several ? events(whole, { start: "^S" }) : whole;
        expect(rows.filter(({ stream }) => stream === name).map(({ message }) => message)).toEqual(expected);
      }
    }),
    { numRuns: 2000 },
  );
});

test("docker: parts and kills", () => {
  const parts = ["a", "b\n", "c\n", "d", "e", "f\n", "g\n"];
  const text = Buffer.from(parts.map((log) => `${JSON.stringify({ log, stream: "stdout", time: "2026-11-23T01:30:20Z" })}\n`).join(""));
  fc.assert(
    fc.property(steps, (way) => {
      expect(run({ format: "docker" }, text, way).map(({ message }) => message)).toEqual(["ab", "c", "def", "g"]);
    }),
    { numRuns: 200 },
  );
});

test("bounds: what is over is an event of its own, and nothing is dropped", () => {
  const lines = ["S", ...Array.from({ length: 10 }, (_, n) => ` ${n}`)];
  const text = Buffer.from(`${lines.join("\n")}\n`);
  const byLines = run({ multiline: { start: "^S", ...bounds, lines_max: 4 } }, text, []);
  expect(byLines.map(({ message }) => message.split("\n").length)).toEqual([4, 4, 3]);
  const byBytes = run({ multiline: { start: "^S", lines_max: 1000, bytes_max: 7, timeout: 1000 } }, text, []);
  expect(byBytes.map(({ message }) => message).join("\n")).toBe(lines.join("\n"));
  expect(byBytes.every(({ message }) => message.length <= 7)).toBe(true);
});

const traces: Record<Preset, string[]> = {
  java: [
    "2026-11-23 01:30:20 INFO ready",
    "2026-11-23 01:30:21 ERROR failed\njava.lang.RuntimeException: x\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\nCaused by: java.io.IOException: y\n\t... 2 more",
    'Exception in thread "main" java.lang.Error: x\n\tat a.B.c(B.java:1)\n\tSuppressed: java.lang.Exception: z\n\t\tat a.B.d(B.java:3)',
    "java.lang.IllegalStateException: one\n\tat a.B.c(B.java:1)",
    "java.lang.IllegalStateException: two\n\tat a.B.c(B.java:1)",
    "done",
  ],
  python: [
    "INFO ready",
    'ERROR:root:failed\nTraceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nValueError: x\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File "a.py", line 3, in f\nKeyError: \'y\'',
    'INFO next\nTraceback (most recent call last):\n  File "a.py", line 9, in f\nSystemError: y',
    'Traceback (most recent call last):\n  File "a.py", line 1, in f\nSystemError: z',
    "done",
  ],
  go: [
    "2026/11/23 01:30:20 ready",
    "panic: runtime error: invalid memory address\n[signal SIGSEGV: segmentation violation code=0x1]\n\ngoroutine 1 [running]:\nmain.(*T).run(0x0)\n\t/app/main.go:12 +0x1d\nmain.main()\n\t/app/main.go:5 +0x20\n\ngoroutine 7 [chan receive]:\nmain.f({0xc000, 0x2})\n\t/app/f.go:3\ncreated by main.main in goroutine 1\n\t/app/main.go:4\nexit status 2",
    "2026/11/23 01:30:21 http: panic serving 127.0.0.1:1: x\ngoroutine 9 [running]:\nnet/http.(*conn).serve.func1(0xc0)\n\t/go/server.go:1",
    "2026/11/23 01:30:22 done",
  ],
  ruby: [
    "ready",
    "a.rb:3:in `divided_by': divided by 0 (ZeroDivisionError)\n\tfrom a.rb:3:in `f'\n\tfrom a.rb:7:in `<main>'",
    "NoMethodError (undefined method):\n  \napp/models/a.rb:10:in `b'\napp/c.rb:1:in 'C#d'",
    "done",
  ],
  node: [
    "ready",
    "/app/a.js:3\n    throw new TypeError('x');\n    ^\n\nTypeError: x\n    at f (/app/a.js:3:9)\n    at node:internal/main/run_main_module:1:1 {\n  code: 'E'\n}\n\nNode.js v24.1.0",
    "failed for order 7\nError [ERR_X]: y\n    at f (/app/a.js:3:9)\n  [cause]: Error: z\n      at g (/app/a.js:9:1)",
    "Error: one\n    at f (/app/a.js:3:9)",
    "Error: two\n    at f (/app/a.js:3:9)",
    "done",
  ],
};

for (const [preset, expected] of Object.entries(traces) as [Preset, string[]][]) {
  test(`${preset}: stack traces as they are written, through any chunks and kills`, () => {
    const text = Buffer.from(`${expected.join("\n")}\n`);
    fc.assert(
      fc.property(steps, (way) => {
        expect(run({ multiline: { preset, ...bounds, lines_max: 1000 } }, text, way).map(({ message }) => message)).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });
}

/** What one encoder makes of chunks of several texts, read at given times. */
function feedAll(
  keys: LineKeys,
  chunks: readonly { key: string; start: number; text: string; readMs?: number }[],
): { messages: string[]; split: number } {
  const encoder = open(keys);
  const collected = collectFrames();
  let split = 0;
  for (const { key, start, text, readMs = 1000 } of chunks) {
    const flow: Flow = { key, start, end: false, placeAt: (index) => index, cover: () => ({}) };
    split += encoder.encode({ bytes: Buffer.from(text), form: "lines", readMs, flow }, collected.frames).split ?? 0;
  }
  return { messages: collected.records().map(({ message }) => String(message)), split };
}

test("an output that has fallen silent ends its event while the other one speaks", () => {
  const keys: LineKeys = { format: "cri", multiline: { start: "^S", lines_max: 100, bytes_max: 1000, timeout: 5000 } };
  const line = (stream: string, text: string): string => `2026-11-23T01:30:20Z ${stream} F ${text}\n`;
  const texts = [line("stdout", "S1"), line("stderr", "S2"), line("stderr", "S3"), line("stdout", "x"), line("stdout", "S4")];
  let start = 0;
  const chunks = texts.map((text, index) => ({
    key: "a",
    start: (start += text.length) - text.length,
    text,
    readMs: [0, 4000, 5500, 6000, 6500][index] ?? 0,
  }));
  expect(feedAll(keys, chunks).messages).toEqual(["S2", "S1", "x"]);
});

test("bytes that the source has left out end what was begun before them", () => {
  const keys: LineKeys = { multiline: { start: "^S", ...bounds, lines_max: 100 } };
  const chunks = [
    { key: "a", start: 0, text: "S1\nx\n" },
    { key: "a", start: 10, text: "y\nS2\n" },
  ];
  expect(feedAll(keys, chunks).messages).toEqual(["S1\nx", "y"]);
});

test("what is held of many files has one bound: beyond it an event ends with its chunk", () => {
  const keys: LineKeys = { multiline: { start: "^S", ...bounds, bytes_max: 4 * 2 ** 20, lines_max: 100 } };
  const body = `S${"x".repeat(1000 * 1024)}\n`;
  const { messages, split } = feedAll(
    keys,
    Array.from({ length: 40 }, (_, n) => ({ key: `file ${n}`, start: 0, text: body })),
  );
  expect(messages.length).toBeGreaterThan(0);
  expect(messages.length).toBeLessThan(10);
  expect(split).toBe(messages.length);
});
