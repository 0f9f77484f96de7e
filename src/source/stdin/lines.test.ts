import { expect, test } from "bun:test";
import { array, assert, constantFrom, property } from "fast-check";
import { LineCutter, type Lines } from "./lines.ts";

const shown = (lines: readonly Lines[]): string[] =>
  lines.map(
    ({ bytes, partial, truncated }) =>
      `${Buffer.from(bytes).toString()}${partial === true ? "<partial>" : ""}${truncated === true ? "<truncated>" : ""}`,
  );

function cut(pieces: readonly string[], lineBytesMax = 100): string[] {
  const cutter = new LineCutter(lineBytesMax);
  return shown([...pieces.flatMap((piece) => cutter.push(Buffer.from(piece))), ...cutter.end()]);
}

test("lines are whole, wherever the pieces were cut; the last may lack its end", () => {
  expect(cut(["a\nb", "", "c\n\nd", "e"])).toEqual(["a\n", "bc\n", "\n", "de<partial>"]);
  expect(cut(["a\n"])).toEqual(["a\n"]);
  expect(cut([])).toEqual([]);
});

test("a line beyond the bound is cut at a character, its rest dropped, the next one whole", () => {
  expect(cut(["aaaé", "éxxx", "xx\nnext\n"], 4)).toEqual(["aaa<truncated>", "next\n"]);
  expect(cut(["aaaa\r\nb\n"], 4)).toEqual(["aaaa\r\nb\n"]);
  expect(cut(["aaaaaa"], 4)).toEqual(["aaaa<truncated>"]);
});

test("pieces of any size give the same lines", () => {
  assert(
    property(array(array(constantFrom("a", "é", "\n", "bc"), { maxLength: 8 }), { maxLength: 30 }), (parts) => {
      const text = parts.flat().join("");
      const bytes = Buffer.from(text);
      const cutter = new LineCutter(1000);
      const lines: Lines[] = [];
      for (let at = 0; at < bytes.length; at += 3) lines.push(...cutter.push(bytes.subarray(at, at + 3)));
      lines.push(...cutter.end());
      expect(Buffer.concat(lines.map((line) => line.bytes)).toString()).toBe(text);
      for (const line of lines) expect(line.partial === true || line.bytes.at(-1) === 10).toBe(true);
    }),
  );
});
