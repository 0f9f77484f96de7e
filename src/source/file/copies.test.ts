/** Compressed copies of rotated files, made by the real compressors. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, renameSync, rmSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource, type Running, type RunOptions } from "../../../test/conformance/running.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { file } from "./source.ts";

let dir: Scratch;
let spool: MemorySpool;
let started: Running[] = [];

beforeEach(async () => {
  dir = await scratch();
  spool = new MemorySpool();
});
afterEach(async () => {
  for (const running of started) await running[Symbol.asyncDispose]();
  started = [];
  await dir[Symbol.asyncDispose]();
});

const log = (): string => dir.join("app.log");
const append = (name: string, ...lines: string[]): void => appendFileSync(dir.join(name), lines.map((line) => `${line}\n`).join(""));
const many = (from: number, count: number): string[] => Array.from({ length: count }, (_, index) => `line ${from + index} ${(from + index) * 7919}`);

async function follow(config: Record<string, unknown> = {}, options: RunOptions = {}): Promise<Running> {
  const own = { type: "file", include: [dir.join("app.log*")], discover_interval: "30ms", partial_line_after: "200ms", ...config };
  const running = await startSource(file, own, spool, options);
  started.push(running);
  return running;
}

/** Waits until the records are `lines`, whatever their order, and a little longer for what should not come. */
async function arrive(...lines: string[]): Promise<void> {
  await until(() => spool.lines.length >= lines.length, `${lines.length} lines arrive`);
  await Bun.sleep(300);
  expect(spool.texts.toSorted()).toEqual(lines.toSorted());
  expect(spool.broken).toEqual([]);
}

async function restart(running: Running, meanwhile: () => void = () => {}): Promise<Running> {
  await running.kill();
  spool = new MemorySpool(spool);
  meanwhile();
  return follow();
}

/** Compresses as `logrotate` has it done: `name.gz` is written, then `name` goes. */
const shrink = {
  gzip(name: string): string {
    expect(Bun.spawnSync(["gzip", "-f", dir.join(name)]).exitCode).toBe(0);
    return `${name}.gz`;
  },
  zstd(name: string): string {
    expect(Bun.spawnSync(["zstd", "-q", "-f", "--rm", dir.join(name)]).exitCode).toBe(0);
    return `${name}.zst`;
  },
};

const settled = (running: Running, name: string): Promise<unknown> =>
  until(() => running.source.status().files?.find(({ path }) => path === dir.join(name))?.state === "closed", `${name} is known`, 20_000);

describe.each(["gzip", "zstd"] as const)("%s", (packing) => {
  test("rotated, compressed and read before: not read again, nor after a restart, nor decompressed then", async () => {
    append("app.log", ...many(0, 5000));
    const running = await follow();
    await arrive(...many(0, 5000));
    renameSync(log(), dir.join("app.log.1"));
    append("app.log", "next");
    const name = shrink[packing]("app.log.1");
    await settled(running, name);
    await arrive(...many(0, 5000), "next");
    const again = await restart(running);
    await settled(again, name);
    append("app.log", "last");
    await arrive(...many(0, 5000), "next", "last");
  }, 30_000);

  test("compressed while we are down, read in part: goes on at the offset", async () => {
    append("app.log", ...many(0, 3000));
    const running = await follow();
    await arrive(...many(0, 3000));
    await restart(running, () => {
      append("app.log", ...many(3000, 40_000));
      renameSync(log(), dir.join("app.log.2"));
      shrink[packing]("app.log.2");
      append("app.log", "next");
    });
    await arrive(...many(0, 43_000), "next");
    expect(spool.lines.find(({ text }) => text.startsWith("line 3000 "))?.file).toBe(log());
  }, 30_000);

  test("never seen before: read whole, with offsets of its content", async () => {
    append("app.log.1", ...many(0, 20_000));
    const name = shrink[packing]("app.log.1");
    const running = await follow();
    await arrive(...many(0, 20_000));
    expect(spool.lines[1]).toMatchObject({ file: dir.join(name), offset: `${many(0, 1)[0]}\n`.length });
    await settled(running, name);
    expect(running.source.status().lag_bytes).toBe(0);
  }, 30_000);

  test("with run --once", async () => {
    append("app.log.1", ...many(0, 2000));
    append("app.log.1.kept", ...many(0, 2000));
    shrink[packing]("app.log.1");
    appendFileSync(dir.join("app.log.2"), "no end");
    shrink[packing]("app.log.2");
    rmSync(dir.join("app.log.1.kept"));
    const running = await follow({}, { once: true });
    await running.done;
    expect(spool.texts.toSorted()).toEqual([...many(0, 2000), "no end"].toSorted());
    expect(spool.lines.find(({ text }) => text === "no end")?.partial).toBe(true);
  }, 30_000);
});
