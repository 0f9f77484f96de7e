/** Numbers, tables and colours for people. */
import { expect, test } from "bun:test";
import { humanAgo, humanBytes, humanCount, humanDuration } from "./human.ts";
import { painter } from "./paint.ts";
import { table } from "./table.ts";

test("bytes have three digits at most", () => {
  expect([0, 999, 1000, 1024, 10_240, 1_048_575, 2 ** 20, 999 * 2 ** 20, 1000 * 2 ** 20, 3 * 2 ** 50].map(humanBytes)).toEqual([
    "0 B",
    "999 B",
    "1.0 KiB",
    "1.0 KiB",
    "10 KiB",
    "1.0 MiB",
    "1.0 MiB",
    "999 MiB",
    "1.0 GiB",
    "3.0 PiB",
  ]);
});

test("durations have their two largest units, counts their thousands", () => {
  expect([-5, 0, 999, 12_000, 200_000, 3_600_000, 2 * 86_400_000 + 4 * 3_600_000 + 59_000].map(humanDuration)).toEqual([
    "0s",
    "0s",
    "0s",
    "12s",
    "3m 20s",
    "1h",
    "2d 4h",
  ]);
  expect(humanCount(1_234_567)).toBe("1,234,567");
  expect(humanAgo(undefined, 0)).toBe("never");
  expect(humanAgo("1970-01-01T00:00:00Z", 61_000)).toBe("1m 1s ago");
});

test("a table is aligned by what is seen, without colour codes and trailing blanks", () => {
  expect(
    table(
      ["A", "N"],
      [
        ["\u001B[31mlong\u001B[39m", "1"],
        ["ü", "100"],
      ],
      ["left", "right"],
    ),
  ).toBe("A       N\n\u001B[31mlong\u001B[39m    1\nü     100\n");
});

test("colour needs a terminal and no NO_COLOR", () => {
  const red = (env: Record<string, string>, stdout: boolean): string =>
    painter({ env, tty: { stdout, stderr: false, columns: 80 } }, "stdout").bad("x");
  expect(red({}, true)).toBe("\u001B[31mx\u001B[39m");
  expect([red({}, false), red({ NO_COLOR: "1" }, true), red({ TERM: "dumb" }, true)]).toEqual(["x", "x", "x"]);
});
