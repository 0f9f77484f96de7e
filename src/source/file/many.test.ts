/** Ten thousand files in one folder, all of one name but for a number: each line once, few descriptors, and nothing that grows with their square. */
import { expect, test } from "bun:test";
import { appendFileSync, readdirSync, readlinkSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { memoryRoot, scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";
import { file } from "./source.ts";

const count = 10_000;
const openMax = 200;

test("ten thousand files, a thousand of them growing, some new", async () => {
  await using dir = await scratch(memoryRoot);
  const path = (index: number): string => dir.join(`pod-${index}.log`);
  for (let index = 0; index < count; index++) writeFileSync(path(index), `the first line of ${index}\n`);
  let [opens, descriptors] = [0, 0];
  const disk = {
    ...systemDoors.disk,
    open(target: string, mode: "read" | "nofollow" | "write" | "create") {
      opens++;
      return systemDoors.disk.open(target, mode);
    },
  };
  const held = (): number =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir.path);
      } catch {
        return false;
      }
    }).length;
  const spool = new MemorySpool();
  const config = { type: "file", include: [dir.join("*.log")], discover_interval: "50ms", open_files_max: openMax };
  await using running = await startSource(file, config, spool, { doors: { ...systemDoors, disk } });
  const arrive = (lines: number): Promise<true> =>
    until(() => {
      descriptors = Math.max(descriptors, held());
      return spool.lines.length >= lines;
    }, `${lines} lines arrive`);
  await arrive(count);
  for (let index = 0; index < count; index += 10) appendFileSync(path(index), `the second line of ${index}\n`);
  await arrive(count + 1000);
  opens = 0;
  for (let index = count; index < count + 20; index++) writeFileSync(path(index), `the first line of ${index}\n`);
  await arrive(count + 1020);
  // Each newcomer might be a copy of any of the others: held against what is known of them, and not against their files.
  expect(opens).toBeLessThan(count / 5);
  expect(descriptors).toBeLessThanOrEqual(openMax + 1); // one more while a newcomer is looked at
  expect(new Set(spool.texts).size).toBe(count + 1020);
  expect(spool.lines.length).toBe(count + 1020);
  expect(running.source.status()).toMatchObject({ files_total: count + 20, lag_bytes: 0 });
}, 120_000);
