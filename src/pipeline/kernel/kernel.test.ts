import { expect, test } from "bun:test";
import { join } from "node:path";
import * as fc from "fast-check";
import { collectFrames } from "../../../test/support/frames.ts";
import { compileKernel, moduleText } from "../../../tool/kernel.ts";
import type { Chunk } from "../../core/contract.ts";
import { createEncoder, type EncoderOptions } from "../encoder.ts";
import { fastestLoops, openKernel, plainLoops } from "./kernel.ts";

const readMs = Date.UTC(2026, 10, 23, 1, 30, 20) + 590.123;
const fields = { from: true, source: false, host: false, labels: [] };
const options: EncoderOptions = { name: "nginx", host: "edge-1", labels: { env: "prod" }, fields };
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Counts, frames and their bytes, as one or the other loop leaves them. */
function encoded(loop: "fastest" | "plain", bytes: Uint8Array, more: Partial<Chunk & EncoderOptions>, frameBytes: number) {
  const collected = collectFrames(frameBytes);
  const { lineBytesMax, emptyLines, ...chunk } = more;
  const bounds = { ...(lineBytesMax === undefined ? {} : { lineBytesMax }), ...(emptyLines === undefined ? {} : { emptyLines }) };
  const counts = createEncoder({ ...options, ...bounds, loop }).encode({ bytes, form: "lines", readMs, ...chunk }, collected.frames);
  return {
    counts,
    frames: collected.opened.map(({ length, records, bytes: all }) => ({ length, records, all: all.length })),
    bytes: collected.bytes(),
  };
}

function hold(bytes: Uint8Array, more: Partial<Chunk & EncoderOptions> = {}, frameBytes = 1024 * 1024): void {
  const kernel = encoded("fastest", bytes, more, frameBytes);
  const plain = encoded("plain", bytes, more, frameBytes);
  expect(kernel.counts).toEqual(plain.counts);
  expect(kernel.frames).toEqual(plain.frames);
  expect(kernel.bytes.equals(plain.bytes)).toBe(true);
}

/** What makes trouble: ends, quotes, controls, UTF-8 whole, torn and wrong, runs of all lengths around a block. */
const pieces: readonly Uint8Array[] = [
  ...["\n", "\r\n", "\r", "\n\n", '"', "\\", "\0", "\u001f", "\u007f", '{"a":"b","c":"\\n"}', "é", "日本", "🚚", "\ufeff", "\u2028"].map(utf8),
  ...[[0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f, 0x9a], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0x80], [0xf4, 0x90, 0x80, 0x80]].map((list) =>
    Uint8Array.from(list),
  ),
  ...[1, 7, 8, 15, 16, 17, 31, 32, 33, 100].map((length) => utf8("abcdefghijklmnop".repeat(7).slice(0, length))),
];
const invalidFrom = 15;
const invalidTo = 23;

const hostile = fc
  .array(fc.oneof(fc.constantFrom(...pieces), fc.uint8Array({ maxLength: 20 })), { maxLength: 40 })
  .map((parts) => new Uint8Array(Buffer.concat(parts)));

const more = fc.record(
  {
    offset: fc.oneof(
      fc.integer({ min: 0, max: 2 ** 52 }),
      fc.integer({ min: 99_999_000, max: 100_000_100 }),
      fc.tuple(fc.integer({ min: 1, max: 9_000 }), fc.integer({ min: 0, max: 300 })).map(([high, below]) => high * 1e8 - below),
    ),
    file: fc.constantFrom("/var/log/nginx/access.log", `/${"x".repeat(100)}"\\`),
    partial: fc.constant(true),
    truncated: fc.constant(true),
    lineBytesMax: fc.integer({ min: 4, max: 60 }),
    emptyLines: fc.constantFrom("keep" as const, "skip" as const),
  },
  { requiredKeys: [] },
);

test("this machine runs the kernel", () => {
  expect(fastestLoops()).not.toBe(plainLoops);
});

test("a machine without vectors gets the plain loop: a module it refuses is no kernel", () => {
  expect(openKernel(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0xff))).toBeUndefined();
});

test("module.ts is what lines.as.ts compiles to", async () => {
  expect(await Bun.file(join(import.meta.dir, "module.ts")).text()).toBe(moduleText(await compileKernel()));
});

test("any bytes, any frame: the kernel leaves the same frames as the plain loop, byte for byte", () => {
  fc.assert(
    fc.property(hostile, more, fc.integer({ min: 1, max: 1500 }), (bytes, given, frameBytes) => hold(bytes, given, frameBytes)),
    { numRuns: 5000 },
  );
});

/** `bytesMax` bytes at most, repeatable by their seed: pieces as above, lines of about `lineBytes`. */
function long(seed: number, bytesMax: number, lineBytes: number, valid: boolean): Uint8Array {
  const bytes = new Uint8Array(bytesMax);
  let state = seed | 1;
  const next = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  let at = 0;
  for (;;) {
    let index = next(pieces.length);
    if (valid && index >= invalidFrom && index < invalidTo) index = 0;
    let piece = pieces[index] as Uint8Array;
    if (piece.includes(10) && next(Math.ceil(lineBytes / 30)) > 0) piece = pieces.at(-1) as Uint8Array;
    if (at + piece.length > bytesMax) return bytes.subarray(0, at);
    bytes.set(piece, at);
    at += piece.length;
  }
}

test("chunks larger than the kernel's input, lines larger than it and records larger than its output", () => {
  const sizes = fc.record({
    seed: fc.integer(),
    bytesMax: fc.integer({ min: 60_000, max: 300_000 }),
    lineBytes: fc.constantFrom(40, 300, 5_000, 70_000, 200_000),
    valid: fc.boolean(),
    frameBytes: fc.constantFrom(1_000, 65_536, 150_000, 1024 * 1024),
    lineBytesMax: fc.constantFrom(100, 65_536, 80_000, 1024 * 1024),
    offset: fc.integer({ min: 99_800_000, max: 100_000_000 }),
  });
  fc.assert(
    fc.property(sizes, ({ seed, bytesMax, lineBytes, valid, frameBytes, lineBytesMax, offset }) =>
      hold(long(seed, bytesMax, lineBytes, valid), { lineBytesMax, offset }, frameBytes),
    ),
    { numRuns: 150 },
  );
});

test("lines at the border of the kernel's input, with and without their end", () => {
  for (const ending of ["", "\n", "\r\n"]) {
    for (let length = 65_530; length <= 65_540; length++) hold(utf8(`a\n${"x".repeat(length - 2)}${ending}`), { offset: 0 });
    for (let length = 65_530; length <= 65_540; length++) hold(utf8(`${"x".repeat(length)}${ending}b\n`), { offset: 0 });
  }
});

test("a whole line of escapes in a frame that it fills to the byte, or is one byte too long for", () => {
  for (const unit of ["\u0001", '"', "\t"]) {
    for (const length of [20, 19_000, 30_000, 70_000]) {
      const bytes = utf8(`${"x".repeat(50)}\n${unit.repeat(length)}\r\n${"y".repeat(30)}\n`);
      const { frames } = encoded("plain", bytes, { offset: 1 }, 2 ** 22);
      const [full] = frames;
      for (let less = 0; less < 300; less += length > 100 ? 13 : 1) hold(bytes, { offset: 1 }, (full?.length ?? 0) + 128 - less);
    }
  }
});

test("offsets go over a border of eight digits in a line, at its end and among empty lines that are skipped", () => {
  for (let offset = 1e9 - 40; offset <= 1e9; offset++) {
    for (const emptyLines of ["keep", "skip"] as const) hold(utf8(`abcdef\n\n\n\r\n\n\r\nabcdefghij\n\n\n\nxyz\n`), { offset, emptyLines });
  }
});

test("a head that is longer than the kernel's place for it", () => {
  hold(utf8('a "b"\n\n'), { file: `/${"d".repeat(9_000)}`, offset: 5 });
});
