/** A map by bytes against one by strings. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ByteMap, noBytes } from "./bytemap.ts";

test("a key is the same wherever it lies, and no other is taken for it", () => {
  // Few letters and short keys: many are equal, many are the beginning of another.
  const key = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(9), key, fc.nat(6), fc.nat(6)), { maxLength: 60 }), (lookups) => {
      const map = new ByteMap<number>(1000);
      const model = new Map<string, number>();
      for (const [n, [before, text, first, second]] of lookups.entries()) {
        const bytes = Buffer.from(`${"x".repeat(before)}${text}x`);
        const [one, two] = [Math.min(first, second, text.length), Math.min(Math.max(first, second), text.length)];
        const cut = (start: number, end: number) => (start === end ? noBytes : { start: before + start, end: before + end });
        const found = map.get(bytes, cut(0, one), cut(one, two), cut(two, text.length), () => n);
        if (!model.has(text)) model.set(text, n);
        expect(found).toBe(model.get(text) as number);
      }
    }),
  );
});

test("keys are copies, and beyond the bound all are forgotten", () => {
  const map = new ByteMap<string>(2);
  const bytes = Buffer.from("abc");
  const get = (start: number, value: string): string => map.get(bytes, { start, end: start + 1 }, noBytes, noBytes, () => value);
  expect([get(0, "first"), get(1, "second")]).toEqual(["first", "second"]);
  bytes.write("b", 0);
  expect(get(0, "other")).toBe("second");
  expect(get(2, "third")).toBe("third");
  expect(get(1, "anew")).toBe("anew");
});
