/** The clock steps back and forward: positions do not depend on it. */
import { expect, test } from "bun:test";
import { appendFileSync, renameSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";
import { file } from "./source.ts";

const yearMs = 365 * 24 * 3_600_000;

for (const step of [10 * yearMs, -10 * yearMs]) {
  test(`a step of ${step / yearMs} years, while running and while we are down: each line once`, async () => {
    await using dir = await scratch();
    const path = dir.join("app.log");
    let offsetMs = 0;
    const clock = { ...systemDoors.clock, now: () => Date.now() + offsetMs };
    const config = { type: "file", include: [dir.join("app.log*")], discover_interval: "30ms" };
    let spool = new MemorySpool();
    const start = () => startSource(file, config, spool, { doors: { ...systemDoors, clock } });
    writeFileSync(path, "1\n");
    let running = await start();
    await until(() => spool.lines.length === 1, "the first line");
    offsetMs = step;
    appendFileSync(path, "2\n");
    renameSync(path, dir.join("app.log.1"));
    writeFileSync(path, "3\n");
    await until(() => spool.lines.length === 3, "what came after the step");
    await running.kill();
    spool = new MemorySpool(spool);
    offsetMs = 0;
    appendFileSync(path, "4\n");
    running = await start();
    await until(() => spool.lines.length === 4, "what came after the step back");
    await Bun.sleep(300);
    await running[Symbol.asyncDispose]();
    expect(spool.texts).toEqual(["1", "2", "3", "4"]);
  });
}
