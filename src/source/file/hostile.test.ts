/** Folders that somebody else may write into: what is swapped between the look and the opening, and links that lead out. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource, type Running } from "../../../test/conformance/running.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import type { Disk } from "../../core/disk.ts";
import { systemDoors } from "../../core/doors.ts";
import { file } from "./source.ts";

let dir: Scratch;
let spool: MemorySpool;
let running: Running | undefined;

beforeEach(async () => {
  dir = await scratch();
  spool = new MemorySpool();
  mkdirSync(dir.join("logs/sub"), { recursive: true });
  mkdirSync(dir.join("outside"));
  writeFileSync(dir.join("outside/app.log"), "secret\n");
  writeFileSync(dir.join("logs/other.log"), "fine\n");
});
afterEach(async () => {
  await running?.[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

type Call = "open" | "stat" | "realpath";

/** Follows with `before` called ahead of every call to the disk. */
async function follow(include: string[], before: (call: Call, path: string) => void = () => {}): Promise<Running> {
  const { disk } = systemDoors;
  const hostile: Disk = {
    ...disk,
    open(path, mode) {
      before("open", path);
      return disk.open(path, mode);
    },
    stat(path, follows) {
      before("stat", path);
      return disk.stat(path, follows);
    },
    realpath(path) {
      before("realpath", path);
      return disk.realpath(path);
    },
  };
  const config = { type: "file", include: include.map((glob) => dir.join(glob)), discover_interval: "30ms" };
  running = await startSource(file, config, spool, { doors: { ...systemDoors, disk: hostile } });
  return running;
}

/** The first time that `call` is about to be made with `path`, `swap` comes in between. */
function once(call: Call, path: string, swap: () => void): (made: Call, at: string) => void {
  let done = false;
  return (made, at) => {
    if (done || made !== call || at !== path) return;
    done = true;
    swap();
  };
}

/** What is allowed has come and goes on coming; what is not has not. */
async function onlyFine(): Promise<void> {
  await until(() => spool.texts.includes("fine"), "the other file is read");
  appendFileSync(dir.join("logs/other.log"), "and on\n");
  await until(() => spool.texts.includes("and on"), "it is read on");
  await Bun.sleep(200);
  expect(spool.texts.toSorted()).toEqual(["and on", "fine"]);
}

const codes = (): string[] => [...new Set(running?.board.reasons().map(({ code }) => code))].sort();

test("a file swapped for a pipe between look and opening is not waited for", async () => {
  const path = dir.join("logs/app.log");
  writeFileSync(path, "");
  const swap = (): void => {
    unlinkSync(path);
    expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  };
  await follow(["logs/*.log"], once("open", path, swap));
  await onlyFine();
  expect(codes()).toEqual(["file_not_regular"]);
});

test("a file swapped for a symlink between look and opening is not followed", async () => {
  const path = dir.join("logs/app.log");
  writeFileSync(path, "");
  const swap = (): void => {
    unlinkSync(path);
    symlinkSync(dir.join("outside/app.log"), path);
  };
  await follow(["logs/*.log"], once("open", path, swap));
  await onlyFine();
  expect(codes()).toEqual(["file_symlink_refused"]);
});

for (const call of ["open", "stat"] as const) {
  test(`a folder swapped for a symlink before the ${call} of a file in it: what is opened lies elsewhere and is not read`, async () => {
    const path = dir.join("logs/sub/app.log");
    writeFileSync(path, "");
    const swap = (): void => {
      renameSync(dir.join("logs/sub"), dir.join("logs/.moved"));
      symlinkSync(dir.join("outside"), dir.join("logs/sub"));
    };
    await follow(["logs/*.log", "logs/*/*.log"], once(call, path, swap));
    await onlyFine();
    expect(codes()).toEqual(["file_symlink_refused"]);
  });
}

test("a folder swapped for a symlink for every call but the one that asks for it: what is opened lies elsewhere and is not read", async () => {
  const [sub, moved] = [dir.join("logs/sub"), dir.join("logs/.moved")];
  const path = dir.join("logs/sub/app.log");
  writeFileSync(path, "");
  let evil = false;
  const be = (wanted: boolean): void => {
    if (evil === wanted) return;
    evil = wanted;
    if (evil) {
      renameSync(sub, moved);
      symlinkSync(dir.join("outside"), sub);
    } else {
      unlinkSync(sub);
      renameSync(moved, sub);
    }
  };
  await follow(["logs/*.log", "logs/*/*.log"], (_, at) => {
    if (at === path || at === sub) be(at === path);
  });
  await onlyFine();
  expect(codes()).toEqual(["file_symlink_refused"]);
});

test("a folder that is a symlink out of the roots is said once, not for each of its files, and one within is followed", async () => {
  for (let index = 0; index < 30; index++) writeFileSync(dir.join(`outside/${index}.log`), "secret\n");
  symlinkSync(dir.join("outside"), dir.join("logs/out"));
  symlinkSync(dir.join("logs"), dir.join("logs/loop"));
  await follow(["logs/*/*.log", "logs/**/*.log"]);
  await onlyFine();
  expect(running?.board.reasons().map(({ message }) => message)).toEqual([
    `${dir.join("logs/out")} leads to ${dir.join("outside")}, outside the folders of the globs`,
  ]);
  // The name it has without the loop, or with it: it is one file all the same.
  expect(running?.source.status().files_total).toBe(1);
});

test("links in circles, to nowhere and to devices, sockets and long names: said, and nothing stands still", async () => {
  symlinkSync(dir.join("logs/b.log"), dir.join("logs/a.log"));
  symlinkSync(dir.join("logs/a.log"), dir.join("logs/b.log"));
  symlinkSync(dir.join("nowhere"), dir.join("logs/c.log"));
  symlinkSync("/dev/zero", dir.join("logs/d.log"));
  expect(Bun.spawnSync(["mkfifo", dir.join("logs/e.log")]).exitCode).toBe(0);
  using socket = Bun.listen({ unix: dir.join("logs/f.log"), socket: { data() {} } });
  expect(socket.unix).toBe(dir.join("logs/f.log"));
  writeFileSync(dir.join("logs", `${"n".repeat(251)}.log`), "long name\n");
  await follow(["logs/*.log"]);
  await until(() => spool.texts.includes("long name"), "the long name is read");
  spool.lines.splice(
    spool.lines.findIndex(({ text }) => text === "long name"),
    1,
  );
  await onlyFine();
  const said = running?.board.reasons().map(({ code, message }) => `${code} ${message.replaceAll(`${dir.path}/`, "")}`);
  expect(said?.toSorted()).toEqual([
    "file_not_regular logs/e.log is a pipe or device, not a file",
    "file_not_regular logs/f.log is a socket, not a file",
    "file_symlink_refused logs/d.log leads to /dev/zero, outside the folders of the globs",
    "file_unreadable look at logs/a.log: too many levels of symbolic links",
    "file_unreadable look at logs/b.log: too many levels of symbolic links",
  ]);
});

test("names that are not UTF-8, that hold line ends and controls: each a file of its own, read and called by a name that is text", async () => {
  const names = [Buffer.from("bad-\xff.log", "latin1"), Buffer.from("bad-\xfe.log", "latin1"), Buffer.from("a\nb.log"), Buffer.from("\x1b[2J.log")];
  for (const [index, name] of names.entries()) writeFileSync(Buffer.concat([Buffer.from(`${dir.path}/logs/`), name]), `line ${index}\n`);
  await follow(["logs/*.log"]);
  await until(() => spool.lines.length === 5, "all are read");
  expect(spool.texts.toSorted()).toEqual(["fine", "line 0", "line 1", "line 2", "line 3"]);
  const files = running?.source.status().files ?? [];
  expect(files.length).toBe(5);
  expect(files.every(({ path }) => path.isWellFormed())).toBe(true);
  const before = spool;
  await running?.kill();
  spool = new MemorySpool(before);
  for (const [index, name] of names.entries()) appendFileSync(Buffer.concat([Buffer.from(`${dir.path}/logs/`), name]), `more ${index}\n`);
  await follow(["logs/*.log"]);
  await until(() => spool.lines.length === 9, "and read on after a kill");
  expect(spool.texts.slice(5).toSorted()).toEqual(["more 0", "more 1", "more 2", "more 3"]);
});

test("a folder that is swapped for another one and back is read as it is now", async () => {
  writeFileSync(dir.join("logs/sub/app.log"), "first\n");
  await follow(["logs/*/*.log"]);
  await until(() => spool.lines.length === 1, "it is read");
  renameSync(dir.join("logs/sub"), dir.join("kept"));
  symlinkSync(dir.join("outside"), dir.join("logs/sub"));
  await until(() => codes().includes("file_symlink_refused"), "it is refused");
  rmSync(dir.join("logs/sub"));
  renameSync(dir.join("kept"), dir.join("logs/sub"));
  appendFileSync(dir.join("logs/sub/app.log"), "second\n");
  await until(() => spool.lines.length === 2, "it is read on");
  await until(() => codes().length === 0, "nothing stands");
  expect(spool.texts).toEqual(["first", "second"]);
});
