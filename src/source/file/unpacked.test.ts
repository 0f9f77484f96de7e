import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { peakGrowth } from "../../../test/support/peak.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { systemDoors } from "../../core/doors.ts";
import type { DiskFile } from "../../core/disk.ts";
import { unpack } from "../../core/unpack.ts";
import { packingOf, Unpacked } from "./unpacked.ts";

const content = Buffer.from(Array.from({ length: 300_000 }, (_, n) => `line ${n} ${(n * 7919) % 10_007}\n`).join(""));
const backBytes = 300_000;

async function opened(path: string, bytes: Uint8Array): Promise<Unpacked> {
  writeFileSync(path, bytes);
  return new Unpacked(await systemDoors.disk.open(path, "nofollow"), packingOf(bytes) ?? "gzip", unpack, backBytes);
}

test.each([
  ["gzip", gzipSync(content)],
  ["zstd", zstdCompressSync(content)],
] as const)("%s: reads anywhere give what lies there, also backwards, and the size at the end", async (_, bytes) => {
  await using dir = await scratch();
  await using file = await opened(dir.join("a"), bytes);
  const into = Buffer.alloc(70_000);
  for (const position of [0, 100_000, 69_000, 2_000_000, 1_750_000, 1_900_001, 40_000, content.length - 70_000]) {
    expect(await file.read(into, position)).toBe(into.length);
    expect(into.equals(content.subarray(position, position + into.length))).toBe(true);
  }
  expect(await file.read(into, content.length - 10)).toBe(10);
  expect(await file.read(into, content.length + 10)).toBe(0);
  expect(file.ending).toBe("whole");
  expect((await file.stat()).bytes).toBe(content.length);
  file.rest();
  expect(file.ending).toBe("whole");
  expect(await file.read(into, 5)).toBe(into.length);
  expect(into.equals(content.subarray(5, 5 + into.length))).toBe(true);
});

test("goes on in bounded steps", async () => {
  await using dir = await scratch();
  await using file = await opened(dir.join("a"), gzipSync(content));
  let steps = 0;
  for (let before = 0; !(await file.reach(3_000_000, 500_000)); before = file.reached, steps++) expect(file.reached - before).toBeLessThan(1_000_000);
  expect(steps).toBeGreaterThan(2);
  expect(file.reached).toBeGreaterThanOrEqual(3_000_000);
  expect(await file.reach(Number.POSITIVE_INFINITY, 2 ** 30)).toBe(true);
  expect(file.reached).toBe(content.length);
});

test("what can be read is read: cut, damaged, with something behind it", async () => {
  await using dir = await scratch();
  const bytes = gzipSync(content);
  const damaged = Buffer.from(bytes);
  damaged.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 100);
  const cases = [
    ["cut", bytes.subarray(0, bytes.length >> 1), content.length * 0.45],
    ["damaged", damaged, content.length * 0.45],
    ["foreign", Buffer.concat([bytes, Buffer.from("something else\n")]), content.length],
  ] as const;
  for (const [ending, given, least] of cases) {
    await using file = await opened(dir.join(ending), given);
    await file.reach(Number.POSITIVE_INFINITY, 2 ** 30);
    expect(file.ending).toBe(ending);
    expect(file.reached).toBeGreaterThanOrEqual(least);
    // Damage is met some time after it begins: until then a decoder takes it for content.
    const right = Buffer.alloc(Math.floor(least) - 1000);
    expect(await file.read(right, 1000)).toBe(right.length);
    expect(right.equals(content.subarray(1000, 1000 + right.length))).toBe(true);
  }
});

test("a file that has grown goes on, and an error of the disk is passed on and can be tried again", async () => {
  await using dir = await scratch();
  const bytes = gzipSync(content);
  await using file = await opened(dir.join("a"), bytes.subarray(0, 100_000));
  const into = Buffer.alloc(1000);
  await file.reach(Number.POSITIVE_INFINITY, 2 ** 30);
  expect(file.ending).toBe("cut");
  const cut = file.reached;
  writeFileSync(dir.join("a"), bytes);
  file.anew();
  expect(await file.read(into, cut - 500)).toBe(1000);
  expect(into.equals(content.subarray(cut - 500, cut + 500))).toBe(true);

  let fails = 1;
  const raw = await systemDoors.disk.open(dir.join("a"), "nofollow");
  const flaky: DiskFile = Object.create(raw, {
    read: { value: (part: Uint8Array, at: number) => (at > 50_000 && fails-- > 0 ? Promise.reject(new Error("EIO")) : raw.read(part, at)) },
    close: { value: () => raw.close() },
  }) as DiskFile;
  await using other = new Unpacked(flaky, "gzip", unpack, backBytes);
  expect(other.reach(Number.POSITIVE_INFINITY, 2 ** 30)).rejects.toThrow("EIO");
  await Bun.sleep(100);
  expect(await other.read(into, content.length - 1000)).toBe(1000);
  expect(into.equals(content.subarray(content.length - 1000))).toBe(true);
});

test.each([
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
] as const)("%s: a bomb of one line takes bounded memory, and does not outrun the collector", async (_, pack) => {
  await using dir = await scratch();
  writeFileSync(dir.join("bomb"), pack(Buffer.alloc(400_000_000, 65)));
  const bombs = join(import.meta.dir, "..", "..", "..", "test", "support", "bombs.ts");
  expect(await peakGrowth(bombs, "allOfIt", dir.join("bomb"), "400000000")).toBeLessThan(40_000_000);
});
