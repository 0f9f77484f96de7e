/** Files on a file server, played through the disk door (test/support/nfs.ts): each line once, and nothing that stays broken. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource, type Running } from "../../../test/conformance/running.ts";
import { NfsDisk } from "../../../test/support/nfs.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";
import { file } from "./source.ts";

let dir: Scratch;
let spool: MemorySpool;
let nfs: NfsDisk;
let running: Running | undefined;

beforeEach(async () => {
  dir = await scratch();
  spool = new MemorySpool();
  nfs = new NfsDisk();
});
afterEach(async () => {
  await running?.[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const log = (): string => dir.join("app.log");
const append = (...lines: string[]): void => appendFileSync(log(), lines.map((line) => `${line}\n`).join(""));

async function follow(glob = "app.log*"): Promise<Running> {
  const config = { type: "file", include: [dir.join(glob)], discover_interval: "30ms", partial_line_after: "200ms" };
  running = await startSource(file, config, spool, { doors: { ...systemDoors, disk: nfs.disk } });
  return running;
}

async function restart(meanwhile: () => void): Promise<void> {
  await running?.kill();
  spool = new MemorySpool(spool);
  meanwhile();
  await follow();
}

/** Waits until the records are `lines`, and a little longer for what should not come. */
async function arrive(...lines: string[]): Promise<void> {
  await until(() => spool.lines.length >= lines.length, `${lines.length} lines arrive`);
  await Bun.sleep(300);
  expect(spool.texts).toEqual(lines);
}

test("the server has forgotten our handle, the file is still there: opened again, and read on where we were", async () => {
  append("one", "two");
  await follow();
  await arrive("one", "two");
  nfs.forget(log());
  append("three");
  await arrive("one", "two", "three");
  await until(() => running?.board.reasons().length === 0, "nothing stands against it");
});

test("removed on the server and made anew: the handle is given up, the new file read from 0, others go on", async () => {
  append("one");
  writeFileSync(dir.join("app.log.other"), "o1\n");
  await follow();
  await until(() => spool.lines.length === 2, "both are read");
  nfs.forget(log());
  rmSync(log());
  writeFileSync(dir.join("filler"), ""); // takes the inode, where the file system hands it out again at once
  append("new one");
  appendFileSync(dir.join("app.log.other"), "o2\n");
  await until(() => spool.lines.length === 4, "both go on");
  await until(() => running?.board.reasons().length === 0, "nothing stands against them");
  expect(spool.texts.toSorted()).toEqual(["new one", "o1", "o2", "one"]);
  await until(() => running?.source.status().files_total === 2, "the one that is gone is forgotten");
});

test("removed by our own client while we hold it: the rest is read from its silly name, the new file from 0", async () => {
  append("one");
  await follow();
  await arrive("one");
  spool.hold();
  append("two");
  await until(() => (running?.source.status().lag_bytes ?? 0) > 0, "it is being read");
  append("three");
  nfs.remove(log());
  append("new one");
  spool.release();
  await arrive("one", "two", "three", "new one");
  expect(readdirSync(dir.path).some((name) => name.startsWith(".nfs"))).toBe(true);
  await running?.[Symbol.asyncDispose]();
  expect(readdirSync(dir.path)).toEqual(["app.log"]);
});

test("a size from before our last read: nothing is read twice, and nothing is called cut", async () => {
  append("one");
  await follow();
  await arrive("one");
  append("two", "three");
  await arrive("one", "two", "three");
  nfs.sizes.set(log(), 4);
  append("four");
  await Bun.sleep(400);
  expect(spool.texts).toEqual(["one", "two", "three"]);
  nfs.sizes.delete(log());
  await arrive("one", "two", "three", "four");
  expect(running?.board.counts()).toEqual({});
});

test("a size that is behind what is there: the lines come once it has moved, each once", async () => {
  append("one");
  nfs.sizes.set(log(), 4);
  await follow();
  await arrive("one");
  for (const line of ["two", "three", "four"]) {
    append(line);
    await Bun.sleep(60);
  }
  nfs.sizes.delete(log());
  await arrive("one", "two", "three", "four");
});

test("cut while the server still tells the old size: seen by what is read, new content from 0", async () => {
  append("one", "two", "three");
  await follow();
  await arrive("one", "two", "three");
  nfs.sizes.set(log(), 14);
  writeFileSync(log(), "new one\n");
  nfs.sizes.delete(log());
  await arrive("one", "two", "three", "new one");
});

for (const when of ["while running", "while we are down"]) {
  test(`an inode of another generation, ${when}: another file, from 0`, async () => {
    nfs.inodes.set(log(), 4711);
    append("one", "two");
    await follow();
    await arrive("one", "two");
    const anew = (): void => {
      rmSync(log());
      nfs.forget(log());
      append("other one", "other two", "other three");
    };
    if (when === "while running") anew();
    else await restart(anew);
    await arrive("one", "two", "other one", "other two", "other three");
  });
}

test("a folder whose time does not move: new names are found all the same", async () => {
  append("one");
  await follow();
  await arrive("one");
  const stat = await systemDoors.disk.stat(dir.path);
  nfs.times.set(dir.path, stat?.modifiedMs ?? 0);
  await Bun.sleep(400); // its listing counts as settled
  writeFileSync(dir.join("app.log.2"), "two\n");
  await arrive("one", "two");
});
