/** Sectors the disk cannot read any more (EIO): damage like changed bytes, and no reason not to start. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import type { Disk } from "../../src/core/disk.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { readRecords, verifySpool } from "../../src/spool/inspect.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import type { Fault } from "../../src/core/fault.ts";
import type { SpoolReader } from "../../src/core/contract.ts";
import { until } from "../support/until.ts";
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

/** What asking for each of the frames of the spool gives: its first sequence, and the fault's code if there is one. */
async function ask(reader: SpoolReader): Promise<string[]> {
  const answers: string[] = [];
  for (let at = 0; at < reader.nextSequence();) {
    const [piece] = await reader.pieces(at, 1);
    if (piece === undefined) throw new Error(`no piece at ${at}`);
    const { firstSequence, records } = "frame" in piece ? piece.frame : piece.lost;
    at = firstSequence + records;
    if ("lost" in piece) answers.push(`${firstSequence} to ${at - 1} lost`);
    else {
      const fault = await reader.payload(piece.frame).then(
        () => undefined,
        (cause: unknown) => cause as Fault,
      );
      if (fault !== undefined) answers.push(`${firstSequence} ${fault.code}`);
    }
  }
  return answers;
}

test("a payload that cannot be read is tried again for a stated time, then given up as lost, said, and not asked for again", async () => {
  const path = segment(dir.path, 2);
  const { payloads } = await blocks(path);
  let bad = true;
  let reads = 0;
  const sector = badSectors((each) => bad && each === path && ++reads > 0, payloads[1] ?? 0, (payloads[1] ?? 0) + 8);
  let passedMs = 0;
  const clock = { ...sector.clock, monotonic: () => sector.clock.monotonic() + passedMs };
  await using opened = await openIn(dir.path, "m1", { ...sector, clock }, { triesMin: 5, afterMs: 600_000 });
  const { reader } = opened.spool;
  const first = perSegment + perGroup;
  // Tries alone are no reason: a drive that resets takes its time.
  for (let tries = 0; tries < 8; tries++) expect(await ask(reader)).toEqual([`${first} spool_read_failed`]);
  expect(opened.board.reasons()).toEqual([]);
  passedMs = 600_000;
  await until(async () => (await ask(reader))[0] === `${first} spool_frame_corrupt`, "it is given up");
  expect(opened.board.reasons()).toMatchObject([{ component: "spool", code: "spool_frame_unreadable" }]);
  expect(opened.board.reasons()[0]?.message).toContain(`records ${first} to ${first + perGroup - 1} are given up`);
  expect(await readdir(dir.join("quarantine"))).toEqual([`0000000000000002-${payloads[1]}-unreadable.txt`]);
  // For every sink from now on, without another try; and for this process also when the disk comes back.
  bad = false;
  reads = 0;
  expect(await ask(reader)).toEqual([`${first} spool_frame_corrupt`]);
  expect(reads).toBe(0);
});

test("a payload that can be read again in time costs nothing", async () => {
  const path = segment(dir.path, 2);
  const { payloads } = await blocks(path);
  let bad = true;
  const doors = badSectors((each) => each === path, payloads[1] ?? 0, (payloads[1] ?? 0) + 8);
  const disk: Disk = { ...doors.disk, open: (...given) => (bad ? doors : systemDoors).disk.open(...given) };
  await using opened = await openIn(dir.path, "m1", { ...doors, disk }, { triesMin: 3, afterMs: 60_000 });
  for (let tries = 0; tries < 6; tries++) expect(await ask(opened.spool.reader)).toHaveLength(1);
  bad = false;
  await ask(opened.spool.reader); // lets go of the file that it opened before
  expect(await readAll(opened.spool)).toEqual({ records: range(0, total), lost: [] });
  expect(opened.board.counts()).toEqual({});
});

test("headers that cannot be read any more: what stands before them is shipped, the rest of the segment is given up after the same time", async () => {
  const path = segment(dir.path, 2);
  const { frames } = await blocks(path);
  let bad = false;
  const doors = badSectors((each) => each === path, frames[2] ?? 0, (frames[2] ?? 0) + 512);
  const disk: Disk = { ...doors.disk, open: (...given) => (bad ? doors : systemDoors).disk.open(...given) };
  await using opened = await openIn(dir.path, "m1", { ...doors, disk }, { triesMin: 3, afterMs: 100 });
  bad = true;
  const { reader } = opened.spool;
  await expect(reader.pieces(perSegment, 1)).rejects.toMatchObject({ code: "spool_read_failed" });
  await until(
    () =>
      reader.pieces(perSegment, 1).then(
        () => true,
        () => false,
      ),
    "it is given up",
  );
  expect(opened.board.reasons()).toMatchObject([{ code: "spool_segment_unreadable" }]);
  const lost = (await ask(reader)).filter((answer) => answer.endsWith("lost"));
  expect(lost).toEqual([`${2 * perSegment - 2 * perGroup} to ${2 * perSegment - 1} lost`]);
});
