/** Compressed copies of rotated files, made by the real compressors. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFileSync, closeSync, openSync, readFileSync, renameSync, rmSync, unlinkSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource, type Running, type RunOptions } from "../../../test/conformance/running.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import type { Clock } from "../../core/clock.ts";
import type { Disk } from "../../core/disk.ts";
import { systemDoors } from "../../core/doors.ts";
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

/** Runs five times as fast: what is waited for takes seconds. */
const clock: Clock = {
  ...systemDoors.clock,
  monotonic: () => systemDoors.clock.monotonic() * 5,
  sleep: (ms, ...signals) => systemDoors.clock.sleep(ms / 5, ...signals),
};

async function follow(config: Record<string, unknown> = {}, options: RunOptions = { doors: { ...systemDoors, clock } }): Promise<Running> {
  const own = { type: "file", include: [dir.join("app.log*")], discover_interval: "100ms", partial_line_after: "200ms", ...config };
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

  test("killed in the middle of reading, again and again, members and frames by the dozen: every line once", async () => {
    for (let part = 0; part < 12; part++) {
      append("part", ...many(part * 10_000, 10_000));
      const name = shrink[packing]("part");
      appendFileSync(dir.join(`app.log.1.${name.split(".")[1]}`), readFileSync(dir.join(name)));
      rmSync(dir.join(name));
    }
    let running = await follow();
    let kills = 0;
    for (let before = -1; spool.lines.length < 110_000 && kills < 40; kills++) {
      await until(() => spool.lines.length > before, "it reads");
      before = spool.lines.length;
      running = await restart(running);
      expect(spool.lines.length).toBeLessThanOrEqual(120_000);
    }
    expect(kills).toBeGreaterThan(2);
    await until(() => spool.lines.length >= 120_000, "all arrives");
    await Bun.sleep(300);
    expect(spool.texts).toEqual(many(0, 120_000));
  }, 60_000);

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

describe("what compressors leave", () => {
  const gzip = (...lines: string[]): Uint8Array => Bun.gzipSync(Buffer.from(lines.map((line) => `${line}\n`).join("")));

  test("several members, one with nothing in it, and zeroes behind them: all of it is read, and nothing is said", async () => {
    writeFileSync(dir.join("app.log.gz"), Buffer.concat([gzip(...many(0, 3000)), gzip(), gzip(...many(3000, 2000)), new Uint8Array(100)]));
    const running = await follow();
    await arrive(...many(0, 5000));
    expect(running.board.counts()).toEqual({});
  }, 20_000);

  test("the original stays (gzip -k): it goes on itself, the copy is never read, also when the original goes later", async () => {
    append("app.log.1", ...many(0, 2000));
    await Bun.$`gzip -k ${dir.join("app.log.1")}`.quiet();
    const running = await follow();
    await arrive(...many(0, 2000));
    // Longer than an original is waited for without a comparison.
    await until(() => running.source.status().lag_bytes === 0, "nothing is left");
    unlinkSync(dir.join("app.log.1"));
    await settled(running, "app.log.1.gz");
    await arrive(...many(0, 2000));
    expect(running.board.counts()).toEqual({});
  }, 40_000);

  test("while it is compressed, slowly: the original goes on, the copy waits; afterwards it is known", async () => {
    append("app.log.1", ...many(0, 2000));
    const running = await follow();
    await arrive(...many(0, 2000));
    const whole = gzip(...many(0, 2500));
    const fd = openSync(dir.join("app.log.1.gz"), "w");
    for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 8)) {
      writeSync(fd, whole.subarray(at, at + Math.ceil(whole.length / 8)));
      if (at === 0) append("app.log.1", ...many(2000, 500));
      await Bun.sleep(300);
    }
    closeSync(fd);
    await arrive(...many(0, 2500));
    unlinkSync(dir.join("app.log.1"));
    await settled(running, "app.log.1.gz");
    await arrive(...many(0, 2500));
  }, 40_000);

  test("cut: what can be read is read when it has not changed for a while, the rest when it comes", async () => {
    const whole = gzip(...many(0, 30_000));
    const path = dir.join("app.log.2.gz");
    writeFileSync(path, whole.subarray(0, whole.length >> 1));
    utimesSync(path, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000));
    const running = await follow();
    await until(() => running.board.counts()["file_compressed_damaged"] === 1, "it is said");
    const read = spool.texts.length;
    expect(read).toBeGreaterThan(5000);
    await Bun.sleep(1500);
    expect(running.board.counts()["file_compressed_damaged"]).toBe(1);
    expect(spool.texts.length).toBe(read);
    const partial = spool.texts.pop();
    writeFileSync(path, whole);
    await until(() => spool.texts.at(-1) === many(29_999, 1)[0], "the rest", 20_000);
    await settled(running, "app.log.2.gz");
    // The line at the cut came in two parts: whoever cuts it there has it so.
    const texts = spool.texts.filter((_, index) => index !== read - 1 && index !== read);
    expect(texts).toEqual(many(0, 30_000).filter((_, index) => index !== read - 1));
    expect(`${partial}${spool.texts[read]}`).toBe(many(read - 1, 1)[0] ?? "");
  }, 60_000);

  test("damaged, or with something behind it: said once, what comes before is read, other files go on", async () => {
    const whole = Buffer.from(gzip(...many(0, 30_000)));
    whole.fill(0xff, whole.length - 40_000, whole.length - 39_000);
    writeFileSync(dir.join("app.log.3.gz"), whole);
    writeFileSync(dir.join("app.log.4.gz"), Buffer.concat([gzip(...many(40_000, 10)), Buffer.from("something else")]));
    append("app.log", "live");
    const running = await follow();
    await until(() => running.board.counts()["file_compressed_damaged"] === 2, "both are said", 20_000);
    append("app.log", "goes on");
    await until(() => spool.texts.includes("goes on"), "the live file goes on");
    const missing = new Set([...many(0, 20_000), ...many(40_000, 10), "live"]).difference(new Set(spool.texts));
    expect([...missing]).toEqual([]);
    expect(running.source.status().lag_bytes).toBe(0);
    await Bun.sleep(1200);
    expect(running.board.counts()["file_compressed_damaged"]).toBe(2);
  }, 40_000);

  test("a copy that is shorter than what was read is not read again", async () => {
    append("app.log", ...many(0, 3000));
    const running = await follow();
    await arrive(...many(0, 3000));
    const again = await restart(running, () => {
      writeFileSync(dir.join("app.log.1.gz"), gzip(...many(0, 2900)));
      rmSync(log());
      append("app.log", "next");
    });
    await settled(again, "app.log.1.gz");
    await arrive(...many(0, 3000), "next");
    expect(again.board.counts()["file_compressed_short"]).toBe(1);
  }, 20_000);

  test("generations that begin alike are told apart", async () => {
    const banner = Array.from({ length: 40 }, (_, n) => `banner ${n} ${"=".repeat(60)}`);
    append("app.log", ...banner, ...many(0, 500));
    writeFileSync(dir.join("app.log.2.gz"), gzip(...banner, ...many(7000, 300)));
    await follow();
    await until(() => spool.texts.length >= 2 * banner.length + 800, "both", 40_000);
    await arrive(...banner, ...banner, ...many(0, 500), ...many(7000, 300));
  }, 60_000);

  test("moved into another folder and compressed there", async () => {
    append("app.log", ...many(0, 3000));
    const include = [log(), dir.join("old", "*")];
    const running = await follow({ include });
    await arrive(...many(0, 3000));
    await running.kill();
    spool = new MemorySpool(spool);
    append("app.log", ...many(3000, 100));
    await Bun.$`mkdir ${dir.join("old")} && mv ${log()} ${dir.join("old", "app.log-20261123")} && gzip ${dir.join("old", "app.log-20261123")}`.quiet();
    append("app.log", "next");
    await follow({ include });
    await arrive(...many(0, 3100), "next");
  }, 20_000);

  test("unpacked again by somebody, in its place or beside it: nothing is read twice", async () => {
    append("app.log.1", ...many(0, 3000));
    const name = shrink.gzip("app.log.1");
    const running = await follow();
    await settled(running, name);
    await Bun.$`gzip -dk ${dir.join(name)}`.quiet();
    await Bun.sleep(500);
    await arrive(...many(0, 3000));
    unlinkSync(dir.join(name));
    append("app.log.1", "more");
    await arrive(...many(0, 3000), "more");
  }, 20_000);

  test("named like one and none: plain lines; empty: nothing", async () => {
    append("app.log.gz", "plain", "text");
    writeFileSync(dir.join("app.log.1.gz"), "");
    const running = await follow();
    await arrive("plain", "text");
    writeFileSync(dir.join("app.log.1.gz"), gzip("one"));
    await arrive("plain", "text", "one");
    expect(running.board.counts()).toEqual({});
  }, 20_000);

  test("start: end takes compressed files that are there as read, later ones not", async () => {
    writeFileSync(dir.join("app.log.1.gz"), gzip(...many(0, 100)));
    const running = await follow({ start: "end" });
    await settled(running, "app.log.1.gz");
    writeFileSync(dir.join("app.log.2.gz"), gzip(...many(500, 100)));
    await arrive(...many(500, 100));
    await restart(running);
    await arrive(...many(500, 100));
  }, 20_000);

  test("lines longer than the bound, and a bomb of one line: cut, skipped", async () => {
    const line = "x".repeat(3_000_000);
    const bomb = Bun.spawnSync(["sh", "-c", "(echo begin; head -c 300000000 /dev/zero | tr '\\0' y; echo; echo end) | gzip -1"]).stdout;
    writeFileSync(dir.join("app.log.1.gz"), gzip("one", line, "two"));
    writeFileSync(dir.join("app.log.2.gz"), bomb);
    const running = await follow();
    await until(() => spool.texts.includes("two") && spool.texts.includes("end"), "both are read", 40_000);
    expect(spool.texts.filter((text) => text.length < 100).toSorted()).toEqual(["begin", "end", "one", "two"]);
    expect(spool.lines.filter(({ truncated }) => truncated).map(({ text }) => text.length)).toEqual([2 ** 20, 2 ** 20]);
    await until(() => running.board.counts()["file_line_truncated"] === 2, "both are counted");
  }, 60_000);

  test("deleted or renamed while it is read: read to its end", async () => {
    writeFileSync(dir.join("app.log.1.gz"), gzip(...many(0, 200_000)));
    writeFileSync(dir.join("app.log.2.gz"), gzip(...many(200_000, 1000)));
    spool.hold();
    await follow();
    await until(() => spool.emits > 0, "it is being read");
    unlinkSync(dir.join("app.log.1.gz"));
    renameSync(dir.join("app.log.2.gz"), dir.join("app.log.3.gz"));
    await Bun.sleep(300);
    spool.release();
    await until(() => spool.lines.length >= 201_000, "all arrives", 30_000);
    expect(spool.lines.length).toBe(201_000);
    expect(new Set(spool.texts).size).toBe(201_000);
  }, 60_000);

  test("copied into a compressed file and truncated: what was not read before is taken from the copy", async () => {
    append("app.log", ...many(0, 3000));
    const running = await follow();
    await arrive(...many(0, 3000));
    await restart(running, () => {
      append("app.log", ...many(3000, 500));
      Bun.spawnSync(["sh", "-c", "gzip -c app.log > app.log.1.gz; : > app.log"], { cwd: dir.path });
      append("app.log", ...many(5000, 10));
    });
    await arrive(...many(0, 3500), ...many(5000, 10));
    append("app.log", ...many(5010, 1000));
    await arrive(...many(0, 3500), ...many(5000, 1010));
    Bun.spawnSync(["sh", "-c", "gzip -c app.log > app.log.2.gz; : > app.log"], { cwd: dir.path });
    append("app.log", "next");
    await arrive(...many(0, 3500), ...many(5000, 1010), "next");
  }, 20_000);

  test("the original is removed just when it is opened to be compared, its descriptor being another's: nothing is read twice", async () => {
    append("app.log", ...many(0, 2000));
    append("other.log", "one");
    const disk: Disk = {
      ...systemDoors.disk,
      open(path, mode) {
        if (path === dir.join("app.log.1")) rmSync(path, { force: true });
        return systemDoors.disk.open(path, mode);
      },
    };
    const include = [dir.join("app.log*"), dir.join("other.log")];
    const running = await follow({ include, open_files_max: 1 }, { doors: { ...systemDoors, clock, disk } });
    await until(() => spool.lines.length === 2001, "both are read");
    append("other.log", "two");
    await until(() => spool.lines.length === 2002, "the other one is open");
    await Bun.$`mv app.log app.log.1 && gzip -k app.log.1`.cwd(dir.path).quiet();
    await settled(running, "app.log.1.gz");
    await arrive(...many(0, 2000), "one", "two");
  }, 20_000);

  test("compressed twice, and copied beside: nothing is read twice", async () => {
    append("app.log.1", ...many(0, 60_000));
    await Bun.$`gzip -k app.log.1 && zstd -q --rm app.log.1`.cwd(dir.path).quiet();
    const running = await follow();
    await until(() => spool.lines.length >= 60_000, "one is read");
    await until(() => running.source.status().lag_bytes === 0, "nothing is left");
    await Bun.$`cp app.log.1.gz app.log.1.old.gz; cp app.log.1.zst app.log.1.bak.zst; cp -p app.log.1.zst app.log-1.zst`.cwd(dir.path).quiet();
    await Bun.sleep(1500);
    await arrive(...many(0, 60_000));
    const again = await restart(running);
    await until(() => again.source.status().lag_bytes === 0, "nothing is left");
    await Bun.sleep(1000);
    await arrive(...many(0, 60_000));
  }, 40_000);

  test("one that may not be opened is said once, and read once it may", async () => {
    writeFileSync(dir.join("app.log.1.gz"), gzip(...many(0, 100)));
    let denied = true;
    const disk: Disk = {
      ...systemDoors.disk,
      open: (path, mode) =>
        denied && path.endsWith(".gz") ? Promise.reject(Object.assign(new Error("no"), { code: "EACCES" })) : systemDoors.disk.open(path, mode),
    };
    const running = await follow({}, { doors: { ...systemDoors, clock, disk } });
    await until(() => running.board.reasons()[0]?.code === "file_permission_denied", "it is said");
    await Bun.sleep(1000);
    expect(running.board.counts()["file_permission_denied"]).toBe(1);
    expect(running.source.status().lag_bytes).toBe(0);
    denied = false;
    await arrive(...many(0, 100));
    await until(() => running.board.reasons().length === 0, "it is over");
  }, 20_000);
});
