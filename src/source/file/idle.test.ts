/** What cannot go on waits for what it waits for, and does not ask for it a thousand times a second. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource, type Running } from "../../../test/conformance/running.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import type { Clock } from "../../core/clock.ts";
import type { Disk } from "../../core/disk.ts";
import { systemDoors } from "../../core/doors.ts";
import { file } from "./source.ts";

/** One every 100 ms, for files that wait for a turn, and twice that for what else there may be. */
const sleepsPerSecondMax = 30;

let dir: Scratch;
let spool: MemorySpool;
let sleeps = 0;
const clock: Clock = {
  ...systemDoors.clock,
  sleep(ms, ...signals) {
    sleeps++;
    return systemDoors.clock.sleep(ms, ...signals);
  },
};

beforeEach(async () => {
  dir = await scratch();
  spool = new MemorySpool();
});
afterEach(() => dir[Symbol.asyncDispose]());

function start(disk: Disk = systemDoors.disk): Promise<Running> {
  const config = { type: "file", include: [dir.join("*.log*")], discover_interval: "200ms" };
  return startSource(file, config, spool, { doors: { ...systemDoors, clock, disk } });
}

async function sleepsInASecond(): Promise<number> {
  const before = sleeps;
  await Bun.sleep(1000);
  return sleeps - before;
}

test("compressed files, the first of which has been read and the spool takes nothing, also while we stop", async () => {
  for (const name of ["a", "b", "c"]) writeFileSync(dir.join(`${name}.log.1.gz`), Bun.gzipSync(Buffer.from(`${name}\n`.repeat(500))));
  spool.hold();
  await using running = await start();
  await until(() => spool.emits > 0, "one is read");
  await Bun.sleep(1200); // the others could be looked into by then
  expect(await sleepsInASecond()).toBeLessThan(sleepsPerSecondMax);
  const stopped = running.stop();
  expect(await sleepsInASecond()).toBe(0);
  spool.release();
  await stopped;
  expect(spool.lines.length).toBe(500);
});

test("a look that takes long: what is open is read meanwhile", async () => {
  appendFileSync(dir.join("a.log"), "one\n");
  const answer = Promise.withResolvers<void>();
  let hangs = false;
  const disk: Disk = {
    ...systemDoors.disk,
    async stat(path, follow) {
      if (hangs) await answer.promise;
      return systemDoors.disk.stat(path, follow);
    },
  };
  await using running = await start(disk);
  await until(() => spool.texts.length === 1, "it is read");
  hangs = true;
  await Bun.sleep(400);
  expect(await sleepsInASecond()).toBeLessThan(sleepsPerSecondMax);
  appendFileSync(dir.join("a.log"), "two\n");
  await until(() => spool.texts.length === 2, "what is written is read");
  expect(running.source.status().state).toBe("running");
  answer.resolve();
});
