import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { layOut } from "./layout.ts";

const lay = (text: string): { array: boolean; lines: string[] } => {
  const bytes = new TextEncoder().encode(text);
  const array = layOut(bytes);
  const lines = new TextDecoder().decode(bytes).split("\n");
  return { array, lines: lines.map((line) => line.trim()) };
};

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return "not JSON";
  }
};

test("the elements of an array become lines, whatever they hold and however they are written", () => {
  fc.assert(
    fc.property(
      fc.array(fc.jsonValue(), { minLength: 1 }),
      fc.constantFrom(undefined, 1, "\t"),
      fc.constantFrom("", " \r\n\t"),
      (values, indent, space) => {
        const { array, lines } = lay(`${space}${JSON.stringify(values, undefined, indent)}${space}`);
        expect(array).toBe(true);
        expect(lines.map(parsed)).toEqual(values.map((value) => JSON.parse(JSON.stringify(value)) as unknown));
      },
    ),
  );
});

test("objects one after the other stay lines, those written over many lines become one each", () => {
  const object = fc.dictionary(fc.string(), fc.jsonValue());
  fc.assert(
    fc.property(fc.array(fc.tuple(object, fc.constantFrom(undefined, 2)), { minLength: 1 }), (objects) => {
      const text = objects.map(([value, indent]) => JSON.stringify(value, undefined, indent)).join("\r\n");
      const { array, lines } = lay(text);
      expect(array).toBe(false);
      expect(lines.map(parsed)).toEqual(objects.map(([value]) => JSON.parse(JSON.stringify(value)) as unknown));
    }),
  );
});

test("nothing that is not JSON comes out as lines that all are", () => {
  const piece = fc.constantFrom("[", "]", "{", "}", ",", '"a"', '"a":1', "1", " ", "\n", '"', "\\");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
      const text = `[${pieces.join("")}]`;
      const { lines } = lay(text);
      const values = lines.filter((line) => line !== "").map(parsed);
      if (parsed(text) !== "not JSON") expect(values).toEqual(parsed(text) as unknown[]);
      else expect(values).toContain("not JSON");
    }),
    { numRuns: 20_000 },
  );
});

test("numbers and escapes keep their bytes, an empty array holds nothing", () => {
  expect(lay('[{"n":12345678901234567890, "s":"\\u00e9,]"}\n,\n{"f":1.10}]').lines).toEqual([
    '{"n":12345678901234567890, "s":"\\u00e9,]"}',
    '{"f":1.10}',
  ]);
  expect(lay(" [ \n ] ")).toEqual({ array: true, lines: [""] });
});
