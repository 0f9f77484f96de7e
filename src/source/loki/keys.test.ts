import { expect, test } from "bun:test";
import { array, assert, integer, property, tuple } from "fast-check";
import { KeySet } from "./keys.ts";

test("holds what was added, as a set does, through all its growths", () => {
  const key = tuple(integer({ min: 0, max: 5 }), integer({ min: 1, max: 0xffffffff }));
  assert(
    property(array(key, { maxLength: 400 }), (keys) => {
      const set = new KeySet();
      const model = new Set<string>();
      for (const [high, low] of keys) {
        expect(set.add(high, low)).toBe(!model.has(`${high} ${low}`));
        model.add(`${high} ${low}`);
      }
      expect(set.size).toBe(model.size);
    }),
    { seed: 7, numRuns: 50 },
  );
});

test("200,000 keys, ten seconds of 20,000 a second, take 2 MiB: 10.5 bytes each", () => {
  const set = new KeySet(200_000);
  for (let n = 1; n <= 200_000; n++) set.add(Math.imul(n, 0x9e3779b1) >>> 0, Math.imul(n, 0x85ebca6b) >>> 0);
  expect(set.size).toBe(200_000);
  expect(set.bytes).toBe(2 * 1024 * 1024);
});

test("memory that was given up is gone", () => {
  const set = new KeySet(50_000);
  set.free();
  expect(set.bytes).toBe(0);
});
