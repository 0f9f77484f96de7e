/** A start with many segments: it opens few of them, and finds what it would have found by opening each. */
import { expect, test } from "bun:test";
import { cp, rename, rm } from "node:fs/promises";
import type { Disk } from "../core/disk.ts";
import { systemDisk } from "../core/disk.ts";
import { noise, SpoolRig } from "../../test/support/spoolrig.ts";
import { until } from "../../test/support/until.ts";

const segmentBytes = 4096;

/** A spool of `count` segments: its table is there, and lacks the newest. */
async function many(count: number): Promise<{ rig: SpoolRig; records: string[] }> {
  const rig = await SpoolRig.open({ segmentBytes });
  const records: string[] = [];
  for (let n = 0; rig.spool.status().segments < count; n++) {
    const record = noise(n, 3000);
    records.push(record);
    await rig.put([record], "app", { n });
  }
  await until(() => Bun.file(`${rig.dir}/segments.table`).exists(), "the table was written");
  return { rig, records };
}

/** The system's disk, and how many segments were opened through it. */
function counting(): { disk: Disk; opened: () => number } {
  let opened = 0;
  const disk: Disk = {
    ...systemDisk,
    open: (path, mode, permissions) => {
      if (path.endsWith(".zst")) opened++;
      return systemDisk.open(path, mode, permissions);
    },
  };
  return { disk, opened: () => opened };
}

/** A copy of the folder, once nothing is being written in it any more. */
const copied = async (rig: SpoolRig): Promise<string> => {
  await rig.close();
  const dir = `${rig.dir}-copy`;
  await cp(rig.dir, dir, { recursive: true });
  return dir;
};

test("a start opens the segments that the table lacks, and finds the same as one that opens all", async () => {
  const { rig, records } = await many(400);
  await using _ = rig;
  const dir = await copied(rig);
  const { disk, opened } = counting();
  await using again = await SpoolRig.open({ segmentBytes, disk }, dir);
  expect(opened()).toBeLessThan(80);
  expect(await again.read()).toEqual(records);
  expect(again.spool.status().bytes).toBe(rig.spool.status().bytes);
  expect(again.spool.reader.bytesFrom(100)).toBe(rig.spool.reader.bytesFrom(100));
  expect(again.board.counts()).toEqual({});
}, 60_000);

test("a table of other segments under the same numbers, a torn one and none are not believed", async () => {
  const { rig, records } = await many(300);
  await using _ = rig;
  const other = await many(300);
  await using kept = other.rig;
  const dir = await copied(rig);
  const tables = [
    () => cp(`${kept.dir}/segments.table`, `${dir}/segments.table`),
    async () => Bun.write(`${dir}/segments.table`, (await Bun.file(`${rig.dir}/segments.table`).text()).slice(0, -9)),
    () => rm(`${dir}/segments.table`),
  ];
  for (const put of tables) {
    await put();
    const again = await SpoolRig.open({ segmentBytes }, dir);
    expect(await again.read()).toEqual(records);
    expect(again.board.counts()).toEqual({});
    await again.close();
  }
  await rm(dir, { recursive: true });
}, 60_000);

test("a segment that went from among those in the table is missed, and said to be", async () => {
  const { rig } = await many(300);
  await using _ = rig;
  const dir = await copied(rig);
  await rename(`${dir}/segments/0000000000000100.zst`, `${dir}/gone`);
  await using again = await SpoolRig.open({ segmentBytes }, dir);
  expect(again.board.counts()["spool_segment_missing"]).toBe(1);
  expect((await again.read()).filter((record) => record.startsWith("lost"))).toHaveLength(1);
}, 60_000);
