/** Events of quiet folders: when they are trusted, when no more, and what a look leaves out because of them. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { systemDisk, type Disk, type OnEvent } from "../../core/disk.ts";
import { Events } from "./events.ts";
import { Finder } from "./found.ts";
import { compile } from "./glob.ts";

let dir: Scratch;
let tell: Map<string, OnEvent>;
let asked: string[];
let disk: Disk;
let events: Events;
let finder: Finder;
let now = 0;

beforeEach(async () => {
  dir = await scratch();
  mkdirSync(dir.join("logs"));
  for (let file = 0; file < 60; file++) writeFileSync(dir.join(`logs/${file}.log`), "one\n");
  tell = new Map();
  asked = [];
  disk = {
    ...systemDisk,
    stat(path, follow) {
      if (path.endsWith(".log")) asked.push(path);
      return systemDisk.stat(path, follow);
    },
    watch(folder, onEvent) {
      tell.set(folder, onEvent);
      return Promise.resolve({ close: () => void tell.delete(folder) });
    },
  };
  now = 0;
  make(disk);
});

afterEach(() => dir[Symbol.asyncDispose]());

function make(on: Disk): void {
  events = new Events(on, () => {});
  const globs = { patterns: compile(dir.join("logs/*.log")), excluded: () => false, symlinkRoots: [] };
  finder = new Finder(on, globs, () => now, events);
}

/** Looks, a second apart; the files asked for in each. */
async function looks(count: number): Promise<number[]> {
  const counts: number[] = [];
  for (let look = 0; look < count; look++) {
    asked = [];
    await finder.find((fault) => expect(fault.message).toBe(""));
    counts.push(asked.length);
    now += 1000;
  }
  return counts;
}

const folder = (): string => dir.join("logs");

async function trusted(): Promise<void> {
  await looks(9);
  expect(events.trusts(folder())).toBe(true);
}

test("where events are trusted, all are asked within thirty looks and not in each", async () => {
  // Until then every file was asked in each look: nothing is trusted of which it is not known how it was when the watch began.
  expect(await looks(6)).toEqual([60, 60, 60, 60, 60, 60]);
  await trusted();
  const all = new Set<string>();
  for (let look = 0; look < 30; look++) {
    expect((await looks(1))[0]).toBe(2);
    for (const path of asked) all.add(path);
  }
  expect(all.size).toBe(60);
});

test("without events all are asked in each look", async () => {
  make({ ...disk, watch: () => Promise.resolve(undefined) });
  expect((await looks(30)).every((count) => count === 60)).toBe(true);
});

test("a file that an event tells of is looked at next", async () => {
  await trusted();
  appendFileSync(dir.join("logs/59.log"), "two\n");
  tell.get(folder())?.("59.log", "change");
  asked = [];
  const found = await finder.find(() => {});
  expect(asked).toContain(dir.join("logs/59.log"));
  expect([...found.values()].find(({ path }) => path.endsWith("/59.log"))?.stat.bytes).toBe(8);
  await looks(2);
  expect(events.trusts(folder())).toBe(true);
});

test("a change that no event tells of is found all the same, and events of that folder are trusted no more", async () => {
  await trusted();
  appendFileSync(dir.join("logs/33.log"), "two\n");
  await looks(31);
  expect(events.trusts(folder())).toBe(false);
  expect(tell.has(folder())).toBe(false);
  expect((await looks(20)).every((count) => count === 60)).toBe(true);
});

test("a folder with much going on is left alone for a while", async () => {
  await trusted();
  for (let event = 0; event <= 20; event++) tell.get(folder())?.("1.log", "change");
  expect(tell.has(folder())).toBe(false);
  expect(await looks(9)).not.toContain(2);
  await looks(3);
  expect(tell.has(folder())).toBe(true);
});

test("another folder under the same name is watched anew", async () => {
  await trusted();
  const first = tell.get(folder());
  renameSync(folder(), dir.join("old"));
  mkdirSync(folder());
  writeFileSync(dir.join("logs/new.log"), "one\n");
  await looks(2);
  expect(tell.get(folder())).not.toBe(first);
  expect(events.trusts(folder())).toBe(false);
});

test("the system tells of writes and of names, where it says that it does", async () => {
  const told: string[] = [];
  const watch = await systemDisk.watch?.(folder(), (name, kind) => told.push(`${kind} ${name}`));
  if (watch === undefined) return; // not on this system, or not on this file system: then looks do without
  appendFileSync(dir.join("logs/1.log"), "two\n");
  renameSync(dir.join("logs/2.log"), dir.join("logs/3.txt"));
  await until(() => ["change 1.log", "names 2.log", "names 3.txt"].every((each) => told.includes(each)), "three events");
  watch.close();
});
