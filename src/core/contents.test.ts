/** What a mixed frame holds, written and read again; and bytes that are no contents. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ContentsReader, ContentsWriter } from "./contents.ts";

const run = fc.record({
  stream: fc.record({
    from: fc.string({ maxLength: 4 }),
    labels: fc.dictionary(fc.string({ unit: "binary", maxLength: 3 }), fc.string({ unit: "binary", maxLength: 300 })),
  }),
  records: fc.integer({ min: 1, max: 2 ** 31 }),
  rawBytes: fc.integer({ min: 1, max: 2 ** 31 }),
});

const sums = (runs: readonly { records: number; rawBytes: number }[]): [number, number] => [
  runs.reduce((sum, { records }) => sum + records, 0),
  runs.reduce((sum, { rawBytes }) => sum + rawBytes, 0),
];

test("runs come back as they were, whatever their streams share", () => {
  const reader = new ContentsReader();
  fc.assert(
    fc.property(fc.array(run, { maxLength: 20 }), (runs) => {
      const writer = new ContentsWriter();
      for (const { stream, records, rawBytes } of runs) writer.add(stream, records, rawBytes);
      const plain = runs.map(({ stream, ...rest }) => ({ stream: JSON.parse(JSON.stringify(stream)) as object, ...rest }));
      expect(reader.read(writer.bytes(), ...sums(runs))).toEqual(plain);
    }),
  );
});

test("any bytes: runs that add up, or undefined", () => {
  const reader = new ContentsReader();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(1000), fc.nat(1000), (bytes, records, rawBytes) => {
      const runs = reader.read(bytes, records, rawBytes);
      if (runs !== undefined) expect(sums(runs)).toEqual([records, rawBytes]);
    }),
  );
});

test("contents that were cut, or are of another frame, are none", () => {
  const writer = new ContentsWriter();
  for (const app of ["a", "b"]) writer.add({ labels: { app } }, 300, 70_000);
  const bytes = writer.bytes();
  const reader = new ContentsReader();
  expect(reader.read(bytes, 600, 140_000)).toHaveLength(2);
  expect(reader.read(bytes, 601, 140_000)).toBeUndefined();
  expect(reader.read(bytes, 600, 140_001)).toBeUndefined();
  for (let length = 0; length < bytes.length; length++) expect(reader.read(bytes.subarray(0, length), 600, 140_000)).toBeUndefined();
});

test("a thousand streams in the order of their keys take about nine bytes each", () => {
  const writer = new ContentsWriter();
  const keys = Array.from({ length: 1000 }, (_, n) => `service-${n}`).sort();
  for (const app of keys) writer.add({ labels: { app } }, 6, 2000);
  expect(writer.bytes().length).toBeLessThan(9000);
});
