import { describe, expect, test } from "bun:test";
import { encodingNamed, Lines, lineEndsOf } from "./encoding.ts";

const utf16 = (text: string, big: boolean): Buffer => {
  const bytes = Buffer.from(text, "utf16le");
  return big ? bytes.swap16() : bytes;
};

describe.each([
  ["utf-16le", false],
  ["utf-16be", true],
] as const)("%s", (name, big) => {
  const ends = lineEndsOf(name);
  // Ċ is U+010A, ਊ U+0A0A, 上 U+4E0A, ഀ U+0D00: bytes of a line end that are none.
  const text = utf16("Ċ਀ਊ上\nഀ\u0a00\r\n\u0a0a", big);

  test("line ends are whole units at even places", () => {
    expect(ends.first(text, 0, text.length, 0)).toBe(10);
    expect(ends.first(text, 10, text.length, 0)).toBe(18);
    expect(ends.first(text, 18, text.length, 0)).toBe(-1);
    expect(ends.last(text, text.length, 0)).toBe(18);
    expect(ends.last(text, 17, 0)).toBe(10);
    expect(ends.last(text, 9, 0)).toBe(0);
    expect(ends.last(text, 0, 0)).toBe(0);
  });

  test("in a buffer that begins at an odd place", () => {
    const odd = Buffer.concat([Buffer.of(0), text]);
    expect(ends.first(odd, 0, odd.length, 1)).toBe(11);
    expect(ends.last(odd, odd.length, 1)).toBe(19);
    expect([ends.whole(7, 1), ends.whole(8, 1), ends.whole(7, 0), ends.whole(8, 0)]).toEqual([7, 7, 6, 8]);
  });

  test("agree with a look at every unit, on noise of nearly line ends", () => {
    const noise = Buffer.from(Array.from({ length: 4000 }, (_, n) => [0, 10, 1, 0, 10][(n * 7919 + (n >> 3)) % 5] ?? 0));
    for (let from = 0; from < 40; from++) {
      const units = Array.from({ length: (noise.length - from) >> 1 }, (_, n) => from + (from % 2) + 2 * n);
      const found = units.find((at) => at + 2 <= noise.length && (big ? noise.readUInt16BE(at) : noise.readUInt16LE(at)) === 10);
      expect(ends.first(noise, from, noise.length, 0)).toBe(found === undefined ? -1 : found + 2);
    }
  });
});

test("labels are those of TextDecoder", () => {
  expect(["latin1", "Shift_JIS", " UTF-16BE", "ascii", "gb18030"].map(encodingNamed)).toEqual([
    "windows-1252",
    "shift_jis",
    "utf-16be",
    "windows-1252",
    "gb18030",
  ]);
  expect(encodingNamed("utf-7")).toBeUndefined();
});

test("lines to UTF-8: what is no character becomes U+FFFD and is said, a cut character is left out", () => {
  const cases: [string, number[], string, boolean][] = [
    ["windows-1252", [0x80, 0x41, 0xe9], "€Aé", false],
    ["shift_jis", [0x83, 0x5c, 0x95, 0x5c, 0x5c], "ソ表\\", false],
    ["shift_jis", [0x93, 0xfa, 0x93], "日\ufffd", true],
    ["euc-jp", [0xc6, 0xfc], "日", false],
    ["gb18030", [0x81, 0x30, 0x81, 0x30, 0xc4, 0xe3], "\u0080你", false],
    ["utf-16le", [0x41, 0, 0x00, 0xd8, 0x42, 0], "A\ufffdB", true],
    ["utf-16be", [0, 0x41, 0xd8, 0x3d, 0xde, 0x00], "A😀", false],
    ["iso-2022-jp", [0x1b, 0x24, 0x42, 0x46, 0x7c, 0x1b, 0x28, 0x42, 0x41], "日A", false],
  ];
  for (const [name, bytes, text, invalid] of cases) {
    const lines = new Lines(name);
    expect([Buffer.from(lines.read(Uint8Array.from(bytes), false)).toString(), lines.invalid]).toEqual([text, invalid]);
  }
  const lines = new Lines("shift_jis");
  expect(Buffer.from(lines.read(Uint8Array.of(0x93, 0xfa, 0x96), true)).toString()).toBe("日");
  expect(lines.invalid).toBe(false);
  expect(lines.isPlain(Buffer.from("abc"))).toBe(true);
  expect(new Lines("utf-16le").isPlain(Buffer.from("abc"))).toBe(false);
  expect(new Lines("iso-2022-jp").isPlain(Buffer.from("\x1b$B"))).toBe(false);
});
