import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import type { Disk } from "../../core/disk.ts";
import { systemDoors } from "../../core/doors.ts";
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
const many = (from: number, count: number): string[] => Array.from({ length: count }, (_, index) => `line ${from + index} ${"x".repeat(30)}`);

async function follow(glob = "app.log", config: Record<string, unknown> = {}, options: RunOptions = {}): Promise<Running> {
  const include = glob.split(" ").map((name) => dir.join(name));
  const own = { type: "file", include, discover_interval: "30ms", partial_line_after: "200ms", ...config };
  const running = await startSource(file, own, spool, options);
  started.push(running);
  return running;
}

/** Waits until the records are `lines`, whatever their order, and a little longer for what should not come. */
async function arrive(...lines: string[]): Promise<void> {
  await until(() => spool.lines.length >= lines.length, `${lines.length} lines arrive`);
  await Bun.sleep(250);
  expect(spool.texts).toEqual(lines);
  expect(spool.broken).toEqual([]);
}

/** Kills the source and lets a new one go on from what was committed. */
async function restart(running: Running, meanwhile: () => void, glob?: string, config?: Record<string, unknown>): Promise<Running> {
  await running.kill();
  spool = new MemorySpool(spool);
  meanwhile();
  return follow(glob, config);
}

test("appended byte by byte, cut inside characters and line ends", async () => {
  const running = await follow();
  const bytes = Buffer.from("één\r\ntwo\n\nlast\n");
  writeFileSync(log(), "");
  for (const byte of bytes) {
    appendFileSync(log(), Uint8Array.of(byte));
    await Bun.sleep(10);
  }
  await arrive("één\r", "two", "", "last");
  expect(spool.lines.map(({ offset }) => offset)).toEqual([0, 7, 11, 12]);
  expect(running.source.status()).toMatchObject({ state: "running", lag_bytes: 0, files: [{ path: log(), offset: 17, size: 17 }] });
});

test("rename and create, several times between two looks: each generation whole, in order", async () => {
  append("app.log", "a1");
  const running = await follow("app.log*", { discover_interval: "500ms" });
  await arrive("a1");
  append("app.log", "a2");
  renameSync(log(), dir.join("app.log.1"));
  append("app.log", "b1", "b2");
  renameSync(dir.join("app.log.1"), dir.join("app.log.2"));
  renameSync(log(), dir.join("app.log.1"));
  append("app.log", "c1");
  append("app.log.2", "a3");
  await arrive("a1", "a2", "a3", "b1", "b2", "c1");
  expect(running.source.status().lag_bytes).toBe(0);
});

test("renamed out of the globs: drained to its end, the new one afterwards", async () => {
  append("app.log", "a1");
  const running = await follow();
  await arrive("a1");
  spool.hold();
  renameSync(log(), dir.join("old"));
  append("old", "a2");
  append("app.log", "b1");
  await until(() => running.source.status().files?.length === 2, "both are there");
  append("old", "a3");
  spool.release();
  await until(() => spool.lines.length === 4, "all arrive");
  expect(spool.texts.toSorted()).toEqual(["a1", "a2", "a3", "b1"]);
  expect(spool.texts.indexOf("a2")).toBeLessThan(spool.texts.indexOf("b1"));
  // What comes after the rename is still called by the name it was written under.
  expect(new Set(spool.lines.map((line) => line.file))).toEqual(new Set([log()]));
});

test("rename and create while we are down, the old name outside of the globs", async () => {
  append("app.log", "a1");
  const running = await follow();
  await arrive("a1");
  await restart(running, () => {
    append("app.log", "a2");
    renameSync(log(), dir.join("app.log.1"));
    append("app.log", "b1");
  });
  await arrive("a1", "a2", "b1");
});

test("rename and create while we are down, several times, with the old names in the globs", async () => {
  append("app.log", "a1");
  const running = await follow("app.log*");
  await arrive("a1");
  const meanwhile = (): void => {
    append("app.log", "a2");
    renameSync(log(), dir.join("app.log.2"));
    append("app.log.1", "b1", "b2");
    append("app.log", "c1");
  };
  await restart(running, meanwhile, "app.log*");
  await arrive("a1", "a2", "b1", "b2", "c1");
});

test("copytruncate: new content from 0, the copy is not read again", async () => {
  append("app.log", ...many(0, 100));
  const running = await follow("app.log*");
  await arrive(...many(0, 100));
  copyFileSync(log(), dir.join("app.log.1"));
  await Bun.sleep(150); // the copy is seen while the original stands
  truncateSync(log());
  append("app.log", "new 1");
  await arrive(...many(0, 100), "new 1");
  expect(running.board.counts()["file_truncated_unread"]).toBeUndefined();
});

test("copytruncate between the look that finds the copy and its comparison: the copy is not read anew", async () => {
  let truncated = false;
  const disk: Disk = {
    ...systemDoors.disk,
    open(path, mode) {
      if (path === dir.join("app.log.1") && !truncated) {
        truncated = true;
        truncateSync(log());
        append("app.log", ...many(500, 10));
      }
      return systemDoors.disk.open(path, mode);
    },
  };
  append("app.log", ...many(0, 100));
  await follow("app.log*", {}, { doors: { ...systemDoors, disk } });
  await arrive(...many(0, 100));
  append("app.log", ...many(100, 20));
  copyFileSync(log(), dir.join("app.log.1"));
  await until(() => spool.lines.length >= 130, "all arrive");
  await Bun.sleep(250);
  expect(spool.texts.toSorted()).toEqual([...many(0, 120), ...many(500, 10)].toSorted());
});

test("copytruncate: what was not read yet is taken from the copy", async () => {
  append("app.log", ...many(0, 100));
  const running = await follow("app.log*");
  await arrive(...many(0, 100));
  const meanwhile = (): void => {
    append("app.log", ...many(100, 50));
    copyFileSync(log(), dir.join("app.log.1"));
    truncateSync(log());
    append("app.log", ...many(1000, 300)); // past the old offset
  };
  await restart(running, meanwhile, "app.log*");
  await until(() => spool.lines.length >= 450, "all arrive");
  expect(spool.texts.toSorted()).toEqual([...many(0, 150), ...many(1000, 300)].toSorted());
});

test("cut and grown past the old offset at once: new content from 0", async () => {
  append("app.log", ...many(0, 10));
  await follow();
  await arrive(...many(0, 10));
  writeFileSync(
    log(),
    many(500, 30)
      .map((line) => `${line}\n`)
      .join(""),
  );
  await arrive(...many(0, 10), ...many(500, 30));
});

test("cut to the same size: new content from 0", async () => {
  append("app.log", ...many(100, 10));
  await follow();
  await arrive(...many(100, 10));
  writeFileSync(
    log(),
    many(500, 10)
      .map((line) => `${line}\n`)
      .join(""),
  );
  await arrive(...many(100, 10), ...many(500, 10));
});

test("two logs that begin alike are two logs, in one folder and beside each other", async () => {
  append("a.log", "started", "a2");
  append("b.log", "started", "b2");
  await follow("*.log *.err");
  await until(() => spool.lines.length === 4, "both");
  append("a.log.err", "started");
  append("a.log.err", "e2");
  await until(() => spool.lines.length === 6, "the third");
  expect(spool.texts.toSorted()).toEqual(["a2", "b2", "e2", "started", "started", "started"]);
});

test("deleted while lines are left: drained, closed and forgotten", async () => {
  spool.hold();
  append("app.log", "first");
  const running = await follow();
  await until(() => spool.bytesInFlight > 0, "it is open");
  append("app.log", ...many(0, 50));
  appendFileSync(log(), "no end");
  unlinkSync(log());
  spool.release();
  await arrive("first", ...many(0, 50), "no end");
  expect(spool.lines.at(-1)?.partial).toBe(true);
  await until(() => running.source.status().files?.length === 0, "it is closed", 15_000);
}, 20_000);

test("deleted and made anew while we are down: from 0, also when the inode is used again", async () => {
  append("app.log", ...many(0, 5));
  const running = await follow();
  await arrive(...many(0, 5));
  const meanwhile = (): void => {
    unlinkSync(log());
    append("app.log", ...many(70, 9));
  };
  await restart(running, meanwhile);
  await arrive(...many(0, 5), ...many(70, 9));
});

test("a symlink switched to another file: the old one is drained, the new one followed", async () => {
  mkdirSync(dir.join("logs"));
  append("logs/one", "a1");
  symlinkSync(dir.join("logs", "one"), dir.join("logs", "current"));
  await follow("logs/current");
  await arrive("a1");
  append("logs/one", "a2");
  append("logs/two", "b1");
  unlinkSync(dir.join("logs", "current"));
  symlinkSync(dir.join("logs", "two"), dir.join("logs", "current"));
  await arrive("a1", "a2", "b1");
});

test("a folder that is not there yet is found when it comes", async () => {
  const running = await follow("sub/*/app.log");
  await until(() => running.board.reasons().length === 1, "it is missed");
  expect(running.board.reasons()[0]).toMatchObject({ code: "file_no_match", severity: "degraded" });
  mkdirSync(dir.join("sub", "x"), { recursive: true });
  append("sub/x/app.log", "a1");
  await arrive("a1");
  expect(running.board.reasons()).toEqual([]);
});

test("the last line of a live file waits for its end, that of a rotated one does not", async () => {
  appendFileSync(log(), "a1\nhalf");
  const running = await follow();
  await arrive("a1");
  await Bun.sleep(400);
  expect(spool.lines.length).toBe(1);
  // It waits for its writer, not for us: lag that cannot move would be called a stall.
  expect(running.source.status().lag_bytes).toBe(0);
  renameSync(log(), dir.join("app.log.1"));
  append("app.log", "b1");
  await until(() => spool.lines.length === 3, "the half line");
  expect(spool.lines.find((line) => line.partial)).toMatchObject({ text: "half", offset: 3 });
});

test("start: end takes what is there as read, also after a restart, and later files from their begin", async () => {
  appendFileSync(log(), "old 1\nold 2\nha");
  const running = await follow("*.log", { start: "end" });
  await until(() => spool.positions.size === 2, "the place is committed");
  const meanwhile = (): void => {
    appendFileSync(log(), "lf\n");
    append("later.log", "l1");
  };
  await restart(running, meanwhile, "*.log", { start: "end" });
  await until(() => spool.lines.length === 2, "both");
  expect(spool.texts.toSorted()).toEqual(["half", "l1"]);
});

test("start: end with nothing there yet: what comes is new, also after a restart", async () => {
  const running = await follow("*.log", { start: "end" });
  await until(() => spool.positions.size === 1, "the start is committed");
  await restart(running, () => append("app.log", "a1"), "*.log", { start: "end" });
  await arrive("a1");
});

test("ignore_older leaves old files alone until they are written again", async () => {
  append("app.log", "a1");
  expect(Bun.spawnSync(["touch", "-d", "2 days ago", log()]).exitCode).toBe(0);
  append("b.log", "b1");
  await follow("*.log", { ignore_older: "1d" });
  await arrive("b1");
  append("app.log", "a2");
  await arrive("b1", "a1", "a2");
});

test("no more descriptors than open_files_max, and every file is read", async () => {
  const names = Array.from({ length: 20 }, (_, index) => `f${index}.log`);
  for (const name of names) append(name, `${name} 1`);
  const running = await follow("*.log", { open_files_max: 3 });
  await until(() => spool.lines.length === 20, "the first lines");
  for (const name of names) append(name, `${name} 2`);
  await until(() => spool.lines.length === 40, "the second lines");
  const open = readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir.path);
    } catch {
      return false;
    }
  });
  expect(open.length).toBeLessThanOrEqual(3);
  expect(running.source.status().files?.length).toBe(20);
});

test("what becomes unreadable is reported once, retried, and cleared", async () => {
  append("app.log", "a1");
  const running = await follow("app.log");
  await arrive("a1");
  rmSync(log());
  mkdirSync(log());
  await until(() => running.board.reasons().some(({ code }) => code === "file_not_regular"), "it is reported");
  await Bun.sleep(150);
  expect(running.board.counts()["file_not_regular"]).toBe(1);
  rmSync(log(), { recursive: true });
  append("app.log", "b1");
  await until(() => spool.lines.length === 2, "it is read again");
  await until(() => running.board.reasons().length === 0, "it is cleared");
});

test("with once, unfinished last lines are taken too, and a missing file is a failure", async () => {
  appendFileSync(log(), "a1\nhalf");
  const running = await follow("app.log missing.log", {}, { once: true });
  await running.done;
  expect(spool.lines.map(({ text, partial }) => [text, partial])).toEqual([
    ["a1", false],
    ["half", true],
  ]);
  expect(running.board.reasons()).toMatchObject([{ code: "file_missing", severity: "failing" }]);
});
