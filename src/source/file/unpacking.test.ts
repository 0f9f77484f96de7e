/** A compressed file that was read, unpacked beside itself by hands slower than our looks. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource, type Running } from "../../../test/conformance/running.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { file } from "./source.ts";

const lines = Array.from({ length: 3000 }, (_, n) => `line ${n} ${n * 7919}`);
const content = Buffer.from(lines.map((line) => `${line}\n`).join(""));
let dir: Scratch;
let spool: MemorySpool;
let running: Running;

async function start(): Promise<void> {
  const config = { type: "file", include: [dir.join("app.log*")], discover_interval: "20ms", partial_line_after: "200ms" };
  running = await startSource(file, config, spool);
}

/** Several looks: whatever would be read of what is there now is. */
async function looks(): Promise<void> {
  await Bun.sleep(200);
}

beforeEach(async () => {
  dir = await scratch();
  spool = new MemorySpool();
  writeFileSync(dir.join("app.log.1.gz"), Bun.gzipSync(content));
  await start();
  await until(() => running.source.status().files?.[0]?.state === "closed", "it is read");
  expect(spool.texts).toEqual(lines);
});
afterEach(async () => {
  await running[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

test.each(["goes on running", "is killed meanwhile"])(
  "empty at first, then piece by piece, while logferry %s: nothing is read twice",
  async (when) => {
    const path = dir.join("app.log.1");
    writeFileSync(path, "");
    for (let at = 0; at < content.length; at += 10_000) {
      await looks();
      if (when !== "goes on running" && at === 20_000) {
        await running.kill();
        spool = new MemorySpool(spool);
        await start();
      }
      appendFileSync(path, content.subarray(at, at + 10_000));
    }
    utimesSync(path, new Date(1e12), new Date(1e12)); // as gzip gives it the time of the compressed one
    await looks();
    expect(spool.texts).toEqual(lines);
    rmSync(dir.join("app.log.1.gz"));
    appendFileSync(path, "more\n");
    await until(() => spool.texts.length > lines.length, "what comes behind it is read");
    await looks();
    expect(spool.texts).toEqual([...lines, "more"]);
  },
);

test("half of it, and left so: another file, which is read", async () => {
  const half = content.subarray(0, content.indexOf("line 1500 "));
  writeFileSync(dir.join("app.log.1"), half);
  await looks();
  expect(spool.texts).toEqual(lines);
  utimesSync(dir.join("app.log.1"), new Date(1e12), new Date(1e12));
  await until(() => spool.texts.length >= 4500, "it is read");
  await looks();
  expect(spool.texts).toEqual([...lines, ...lines.slice(0, 1500)]);
});

test("one that begins otherwise, or is no rotation by its name, is read at once", async () => {
  writeFileSync(dir.join("app.log.1"), "other\n".repeat(500));
  writeFileSync(dir.join("app.log"), content.subarray(0, content.indexOf("line 100 ")));
  await until(() => spool.texts.length >= 3600, "both are read");
  await looks();
  expect(spool.texts.slice(3000).toSorted()).toEqual([...Array.from({ length: 500 }, () => "other"), ...lines.slice(0, 100)].toSorted());
});
