/** What deleted files hold: bounded, what moves is left to end by itself, what is given up is counted. */
import { expect, test } from "bun:test";
import { appendFileSync, unlinkSync, utimesSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { file } from "./source.ts";

const lines = (name: string, count: number): string => Array.from({ length: count }, (_, n) => `${name} ${n} ${"x".repeat(100)}\n`).join("");

test("while nothing can be read on, the file deleted first is given up, and how much of it was unread is said", async () => {
  await using dir = await scratch();
  const path = (name: string): string => dir.join(`${name}.log`);
  for (const name of ["a", "b"]) writeFileSync(path(name), `${name} first\n`);
  const spool = new MemorySpool();
  const config = { type: "file", include: [dir.join("*.log")], discover_interval: "30ms", deleted_bytes_max: "1MiB" };
  await using running = await startSource(file, config, spool);
  await until(() => spool.lines.length === 2, "both are open");
  spool.hold();
  // The reads that may be in flight of each, sixteen, are spent on these.
  await until(() => {
    for (const name of ["a", "b"]) appendFileSync(path(name), `${name} more\n`);
    return spool.emits >= 2 + 2 * 16;
  }, "no more may be in flight");
  appendFileSync(path("a"), lines("a", 9000));
  appendFileSync(path("b"), lines("b", 8000));
  await until(() => (running.source.status().files ?? []).every(({ lag_bytes }) => lag_bytes > 800_000), "it knows what it cannot read");
  unlinkSync(path("a"));
  await until(() => (running.source.status().deleted_bytes ?? 0) > 900_000, "what a holds is seen");
  expect(running.board.counts()["file_deleted_unread"]).toBeUndefined();
  unlinkSync(path("b"));
  await until(() => running.board.counts()["file_deleted_unread"] === 1, "one is given up", 20_000);
  const { files = [], deleted_bytes = 0, deleted_lost_bytes = 0 } = running.source.status();
  expect(files.map((each) => each.path)).toEqual([path("b")]);
  expect(deleted_bytes).toBeLessThanOrEqual(2 ** 20);
  expect(deleted_lost_bytes).toBeGreaterThan(800_000);
  spool.release();
  await until(() => spool.texts.at(-1)?.startsWith("b 7999 ") === true, "the other one comes whole");
  expect(spool.texts.filter((text) => /^b \d/.test(text)).length).toBe(8000);
}, 60_000);

test("one that is read on is left to come to its end, however large it is", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  writeFileSync(path, "first\n");
  const spool = new MemorySpool(undefined, 30);
  const config = { type: "file", include: [path], discover_interval: "30ms", deleted_bytes_max: "64KiB", partial_line_after: "100ms" };
  await using running = await startSource(file, config, spool);
  await until(() => spool.lines.length === 1, "it is open");
  spool.hold();
  appendFileSync(path, lines("n", 400_000));
  unlinkSync(path);
  await until(() => (running.source.status().deleted_bytes ?? 0) > 2 ** 20, "it is known to be deleted");
  spool.release();
  await until(() => spool.lines.length === 400_001, "all of it arrives");
  await until(() => running.source.status().deleted_bytes === 0, "and it is closed then", 20_000);
  expect(running.board.counts()["file_deleted_unread"]).toBeUndefined();
  expect(running.source.status().deleted_lost_bytes).toBe(0);
}, 60_000);

test("one that went while no descriptor was free for it is counted with what is known to have been in it", async () => {
  await using dir = await scratch();
  const path = (name: string): string => dir.join(`${name}.log`);
  const spool = new MemorySpool();
  const config = { type: "file", include: [dir.join("*.log")], discover_interval: "30ms", open_files_max: 1 };
  spool.hold();
  for (const [index, name] of ["a", "b", "c"].entries()) {
    writeFileSync(path(name), lines(name, 1000));
    utimesSync(path(name), 1_700_000_000 + index, 1_700_000_000 + index);
  }
  await using running = await startSource(file, config, spool);
  const states = (): string[] => (running.source.status().files ?? []).map((each) => `${each.path.slice(-5)} ${each.state}`).toSorted();
  await until(() => states().includes("c.log waiting"), "only one may be open");
  const bytes = lines("b", 1000).length;
  unlinkSync(path("b"));
  await until(() => running.board.counts()["file_deleted_unread"] === 1, "it is missed");
  expect(running.source.status().deleted_lost_bytes).toBe(bytes);
  spool.release();
  await until(() => spool.lines.length === 2000, "the others come whole");
  await Bun.sleep(200);
  expect(running.board.counts()["file_deleted_unread"]).toBe(1);
  expect(new Set(spool.texts.map((text) => text[0]))).toEqual(new Set(["a", "c"]));
}, 60_000);
