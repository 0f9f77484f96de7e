/** Sectors the disk cannot read any more (EIO): damage like changed bytes, and no reason not to start. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { readRecords, verifySpool } from "../../src/spool/inspect.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { badSectors, blocks, makeSpool, openIn, perGroup, perSegment, put, range, readAll, segment, total, without } from "./damaged.ts";

let dir: Scratch;
beforeEach(async () => {
  dir = await scratch();
  await makeSpool(dir.path);
});
afterEach(() => dir[Symbol.asyncDispose]());

test("a segment that cannot be read at all is left where it is, and its records are told to be lost", async () => {
  await using opened = await openIn(
    dir.path,
    "m1",
    badSectors((path) => path === segment(dir.path, 2), 0, Infinity),
  );
  const { records, lost } = await readAll(opened.spool);
  expect(records).toEqual(without(perSegment, 2 * perSegment));
  expect(lost).toEqual(range(perSegment, 2 * perSegment));
  expect(
    opened.board
      .reasons()
      .map(({ code }) => code)
      .toSorted(),
  ).toEqual(["spool_segment_missing", "spool_segment_unreadable"]);
  expect(await Bun.file(segment(dir.path, 2)).exists()).toBe(true);
  await put(opened.spool, total, 1);
});

for (const which of ["positions.a", "positions.b", "spool.json"]) {
  test(`${which} on bad sectors costs nothing`, async () => {
    await using opened = await openIn(
      dir.path,
      "m1",
      badSectors((path) => path === dir.join(which), 0, Infinity),
    );
    expect(await readAll(opened.spool)).toEqual({ records: range(0, total), lost: [] });
    expect(opened.spool.positions("app").get("file")).toBe(total);
    expect(Object.keys(opened.board.counts())).toEqual([which === "spool.json" ? "spool_identity_damaged" : "spool_checkpoint_damaged"]);
  });
}

test("the newest segment with a sector that cannot be read is left as it is: nothing is cut off on the strength of that", async () => {
  const path = segment(dir.path, 3);
  const before = await readFile(path);
  const { frames } = await blocks(path);
  const doors = badSectors((each) => each === path, frames[1] ?? 0, (frames[1] ?? 0) + 512);
  {
    await using opened = await openIn(dir.path, "m1", doors);
    expect(await readAll(opened.spool)).toEqual({ records: range(0, 2 * perSegment), lost: range(2 * perSegment, total) });
    expect(opened.board.reasons().map(({ code }) => code)).toContain("spool_segment_unreadable");
    await put(opened.spool, total, perGroup);
  }
  expect(await readFile(path)).toEqual(before);
  // `spool verify` and `spool cat` come to an end, and the disk well again shows it all.
  const damage = await Array.fromAsync(verifySpool(doors.disk, dir.path));
  expect(damage.map(({ file }) => file)).toContain("0000000000000003.zst");
  expect((await Array.fromAsync(readRecords(doors.disk, dir.path, {}))).length).toBeGreaterThanOrEqual(2 * perSegment);
  await using well = await openIn(dir.path);
  expect((await readAll(well.spool)).records).toEqual(range(0, total + perGroup));
});
