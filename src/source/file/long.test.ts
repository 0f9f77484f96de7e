import { expect, test } from "bun:test";
import { appendFileSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { readBytes } from "../../core/limits.ts";
import { file } from "./source.ts";

const open = (path: string, spool: MemorySpool, config: Record<string, unknown> = {}) =>
  startSource(file, { type: "file", include: [path], discover_interval: "30ms", ...config }, spool);

test("lines longer than a read come whole up to line_bytes_max", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  const lines = ["short", "a".repeat(readBytes - 1), "b".repeat(readBytes), "c".repeat(2 ** 20), "d".repeat(readBytes + 300), "end"];
  writeFileSync(path, `${lines.join("\n")}\n`);
  const spool = new MemorySpool();
  await using running = await open(path, spool);
  await until(() => spool.lines.length >= lines.length, "all arrive");
  await running.stop();
  expect(spool.texts.map((text) => text.length)).toEqual(lines.map((line) => line.length));
  expect(spool.texts).toEqual(lines);
  expect(spool.lines.some((line) => line.truncated)).toBe(false);
});

test("a longer one is cut at a character, its rest skipped, what follows is whole", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  const spool = new MemorySpool();
  // 3 bytes each: 2 ** 20 lies inside one.
  writeFileSync(path, `first\n${"€".repeat(2_000_000)}\nnext\n`);
  await using running = await open(path, spool);
  await until(() => spool.lines.length >= 3, "all arrive");
  appendFileSync(path, "last\n");
  await until(() => spool.lines.length >= 4, "the last arrives");
  expect(spool.texts.map((text) => text.slice(0, 5))).toEqual(["first", "€€€€€", "next", "last"]);
  expect(spool.lines[1]).toMatchObject({ truncated: true, offset: 6, text: "€".repeat(Math.floor(2 ** 20 / 3)) });
  expect(spool.lines[2]?.offset).toBe(6 + 6_000_001);
  await until(() => running.board.counts()["file_line_truncated"] === 1, "it is counted");
  expect(running.source.status().lag_bytes).toBe(0);
  expect(spool.bytesInFlightMax).toBeLessThan(2 * 2 ** 20);
});

test("killed while a cut line is being skipped: its rest does not come as a record", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  let spool = new MemorySpool();
  writeFileSync(path, "x".repeat(3 * 2 ** 20));
  const running = await open(path, spool);
  await until(() => spool.lines.length === 1, "its begin arrives");
  await running.kill();
  spool = new MemorySpool(spool);
  appendFileSync(path, `${"y".repeat(2 ** 20)}\nnext\n`);
  await using again = await open(path, spool);
  await until(() => spool.lines.length >= 2, "the next line");
  await again.stop();
  expect(spool.texts.slice(1)).toEqual(["next"]);
});
