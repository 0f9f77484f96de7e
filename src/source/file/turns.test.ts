/** Whose turn it is, without files; and what of it shows from outside. */
import { expect, test } from "bun:test";
import { utimesSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { readBytes } from "../../core/limits.ts";
import { file } from "./source.ts";
import { Tracked, unreadPosition } from "./tracked.ts";
import { Turns } from "./turns.ts";

const stat = { kind: "file", bytes: 0, device: 1, inode: 1, links: 1, modifiedMs: 0 } as const;

function tracked(name: string, bytes: number, modifiedMs = 0): Tracked {
  const one = new Tracked(name, unreadPosition(name, stat));
  Object.assign(one, { bytes, modifiedMs });
  return one;
}

function rig(order: "oldest_first" | "newest_first", files: readonly Tracked[]) {
  const turns = new Turns(order);
  const known = new Map(files.map((each) => [each.id, each]));
  for (const each of files) turns.enqueue(each);
  const next = (): Tracked | undefined => turns.next(known, (each) => each.inFlight === 0);
  /** Who had the next turns, each coming round again. */
  const rounds = (count: number): string[] =>
    Array.from({ length: count }, () => {
      const one = next();
      if (one !== undefined) turns.again(one);
      return one?.id ?? "-";
    });
  return { turns, known, next, rounds };
}

const behind = 100 * readBytes;

test("a hundred that keep up come round while one is behind, and it has its share", () => {
  const files = [tracked("busy", behind), ...Array.from({ length: 100 }, (_, index) => tracked(`${index}`, 10))];
  const had = rig("oldest_first", files).rounds(340);
  for (const each of files) expect(had.filter((id) => id === each.id).length).toBeGreaterThanOrEqual(3);
  expect(had.filter((id) => id === "busy").length).toBe(20);
});

test("of a backlog three turns in four go to the oldest, or the newest, and all come round", () => {
  const files = [tracked("b", behind, 2), tracked("a", behind, 1), tracked("d", behind, 4), tracked("c", behind, 3)];
  for (const [order, id] of [
    ["oldest_first", "a"],
    ["newest_first", "d"],
  ] as const) {
    const had = rig(
      order,
      files.map((each) => Object.assign(each, { queued: false })),
    ).rounds(40);
    expect(had.filter((each) => each === id).length).toBeGreaterThanOrEqual(30);
    expect(new Set(had)).toEqual(new Set(["a", "b", "c", "d"]));
  }
});

test("what may not be read now is passed over, what was given up is dropped, and nobody waits for whom no descriptor is free", () => {
  const [a, b, c] = [tracked("a", 1), tracked("b", 1), tracked("c", 1)];
  a.inFlight = 1;
  b.after = a;
  const { turns, known, next } = rig("oldest_first", [a, b, c]);
  known.delete("c");
  expect(next()).toBeUndefined();
  expect(turns.size).toBe(2);
  a.inFlight = 0;
  expect(next()).toBe(a);
  turns.aside(a);
  expect(next()).toBe(b);
  turns.leave(b);
  expect(next()).toBe(a); // what has left may have let a descriptor go
  turns.aside(a);
  expect([next(), next()]).toEqual([undefined, undefined]);
  turns.settled();
  expect(next()).toBe(a);
});

test("those that stand aside come back in order, and given up ones among them keep nobody from the end", () => {
  const files = Array.from({ length: 5 }, (_, index) => tracked(`${index}`, 1, 5 - index));
  const { turns, known, next } = rig("oldest_first", files);
  for (const each of files) expect(next()).toBe(each);
  for (const each of files) turns.aside(each);
  known.delete("4");
  known.delete("0");
  const back = ["3", "2", "1"].map((id) => {
    turns.settled();
    return [next()?.id, id];
  });
  for (const [had, wanted] of back) expect(had).toBe(wanted);
  turns.settled();
  expect(next()).toBeUndefined();
  expect(turns.size).toBe(0);
});

for (const order of ["oldest_first", "newest_first"] as const) {
  test(`a backlog of more files than descriptors, ${order}: read in that order, and whole`, async () => {
    await using dir = await scratch();
    const names = Array.from({ length: 30 }, (_, index) => `${index}`.padStart(2, "0"));
    for (const [index, name] of names.entries()) {
      const path = dir.join(`${name}.log`);
      writeFileSync(path, `${name} ${"x".repeat(90)}\n`.repeat(4000));
      utimesSync(path, 1_700_000_000 + index, 1_700_000_000 + index);
    }
    const spool = new MemorySpool();
    const config = { type: "file", include: [dir.join("*.log")], order, open_files_max: 4 };
    await using running = await startSource(file, config, spool, { once: true });
    await running.done;
    expect(spool.lines.length).toBe(30 * 4000);
    const finished = [...new Set(spool.texts.map((text) => text.slice(0, 2)).toReversed())].toReversed();
    const wanted = order === "oldest_first" ? names : names.toReversed();
    // Three of four turns are in order, so that a file ends within a few places of where it should.
    for (const [place, name] of finished.entries()) expect(Math.abs(wanted.indexOf(name) - place)).toBeLessThanOrEqual(4);
  });
}

test("with newest_first the live log is not kept waiting for its rotated ones", async () => {
  await using dir = await scratch();
  const size = 8 * 2 ** 20;
  for (const [index, name] of ["app.log.2", "app.log.1", "app.log"].entries()) {
    writeFileSync(dir.join(name), `${name.padEnd(10)} ${"x".repeat(100)}\n`.repeat(Math.ceil(size / 112)));
    utimesSync(dir.join(name), 1_700_000_000 + index, 1_700_000_000 + index);
  }
  const first: Record<string, string> = {};
  for (const order of ["oldest_first", "newest_first"]) {
    const spool = new MemorySpool();
    await using running = await startSource(file, { type: "file", include: [dir.join("app.log*")], order }, spool);
    await until(() => spool.lines.length > 0, "the first lines");
    first[order] = spool.texts[0]?.slice(0, 10).trim() ?? "";
    await running.kill();
  }
  expect(first).toEqual({ oldest_first: "app.log.2", newest_first: "app.log" });
});
