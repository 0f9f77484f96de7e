/**
 * A real spool, damaged at random in several places at once: it opens, every record it gives is one that was written, none
 * comes twice, and it takes records as before. `spool verify` and `spool cat` come to an end.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, open, readdir, rename, rm, stat, truncate, writeFile } from "node:fs/promises";
import * as fc from "fast-check";
import { Fault } from "../../src/core/fault.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { aftermathOf, makeSpool, segment, total } from "./damaged.ts";

let dir: Scratch;
beforeAll(async () => {
  dir = await scratch();
  await makeSpool(dir.join("whole"));
});
afterAll(() => dir[Symbol.asyncDispose]());

type Damage =
  | { readonly how: "flip" | "cut" | "zero" | "noise"; readonly file: number; readonly at: number; readonly length: number; readonly byte: number }
  | { readonly how: "remove" | "copy" | "swap"; readonly file: number; readonly to: number };

const place = { file: fc.nat(20), at: fc.nat(), length: fc.integer({ min: 1, max: 600 }), byte: fc.integer({ min: 1, max: 255 }) };
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ how: fc.constantFrom("flip" as const, "flip" as const, "cut" as const, "zero" as const, "noise" as const), ...place }),
  fc.record({ how: fc.constantFrom("remove" as const, "copy" as const, "swap" as const), file: fc.nat(20), to: fc.integer({ min: 1, max: 9 }) }),
);

async function files(spool: string): Promise<string[]> {
  const inside = (await readdir(`${spool}/segments`)).map((name) => `segments/${name}`);
  return [...inside, "positions.a", "positions.b", "spool.json"].filter((name) => !name.includes("/.")).toSorted();
}

async function hurt(spool: string, value: Damage): Promise<void> {
  const names = await files(spool);
  const path = `${spool}/${names[value.file % names.length]}`;
  const size = await stat(path).then(
    ({ size: bytes }) => bytes,
    () => undefined,
  );
  if (size === undefined) return;
  if (value.how === "remove") return rm(path);
  if (value.how === "copy" || value.how === "swap") {
    const to = segment(spool, value.to);
    if (value.how === "swap") return rename(path, to);
    return to === path ? undefined : cp(path, to);
  }
  if (size === 0 || !("at" in value)) return;
  const at = value.at % size;
  if (value.how === "cut") return truncate(path, at);
  await using file = await open(path, "r+");
  const bytes = Buffer.alloc(value.how === "flip" ? 1 : Math.min(value.length, size - at));
  await file.read(bytes, 0, bytes.byteLength, at);
  for (let i = 0; i < bytes.byteLength; i++) bytes[i] = value.how === "zero" ? 0 : (bytes[i] ?? 0) ^ ((value.byte * (i + 1)) | 1);
  await file.write(bytes, 0, bytes.byteLength, at);
}

let runs = 0;

async function check(damages: readonly Damage[]): Promise<void> {
  const spool = dir.join(`run-${runs++}`);
  await cp(dir.join("whole"), spool, { recursive: true });
  for (const each of damages) await hurt(spool, each);
  try {
    const { records, printed } = await aftermathOf(spool);
    for (const got of [records, printed]) {
      expect(new Set(got).size).toBe(got.length);
      expect(got.every((n) => n >= 0 && n < total)).toBe(true);
    }
    // Another start finds nothing that the first has not dealt with, and gives the same.
    const again = await aftermathOf(spool).then((after) => after.records.filter((n) => n < total));
    expect(again).toEqual(records);
  } catch (cause) {
    // A changed version number under a changed checksum would be the one refusal; bytes changed at random never make one.
    if (cause instanceof Fault) throw new Error(`refused: ${cause.code} ${cause.message}`, { cause });
    throw cause;
  } finally {
    await rm(spool, { recursive: true });
  }
}

test("one damage anywhere", async () => {
  await fc.assert(
    fc.asyncProperty(damage, (value) => check([value])),
    { numRuns: 120 },
  );
}, 200_000);

test("several damages anywhere", async () => {
  await fc.assert(fc.asyncProperty(fc.array(damage, { minLength: 2, maxLength: 5 }), check), { numRuns: 120 });
}, 200_000);

/** What the property above has found, shrunk. */
const found: Record<string, Damage[]> = {
  "a segment without its head, moved behind all others": [
    { how: "flip", file: 2, at: 0, length: 1, byte: 1 },
    { how: "swap", file: 14, to: 2 },
    { how: "swap", file: 2, to: 4 },
  ],
  "a copy in the place of another segment, both without their heads": [
    { how: "copy", file: 2, to: 2 },
    { how: "flip", file: 3, at: 0, length: 1, byte: 1 },
    { how: "flip", file: 0, at: 0, length: 1, byte: 1 },
  ],
  "copies without heads and a segment gone": [
    { how: "flip", file: 14, at: 0, length: 1, byte: 1 },
    { how: "copy", file: 0, to: 9 },
    { how: "swap", file: 16, to: 9 },
    { how: "remove", file: 14, to: 1 },
  ],
};
for (const [what, damages] of Object.entries(found)) test(what, () => check(damages));

test("empty files in the place of all", async () => {
  const spool = dir.join("empty");
  await cp(dir.join("whole"), spool, { recursive: true });
  for (const name of await files(spool)) await writeFile(`${spool}/${name}`, "");
  const { records } = await aftermathOf(spool);
  expect(records).toEqual([]);
});
