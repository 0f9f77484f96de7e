/** `spool ls|cat|verify` on a real spool, whole and damaged. */
import { expect, test } from "bun:test";
import { open, readdir, writeFile } from "node:fs/promises";
import * as v from "valibot";
import { testIo, type TestIo } from "../../test/support/io.ts";
import { scratch } from "../../test/support/scratch.ts";
import { createBoard } from "../core/board.ts";
import { systemDoors } from "../core/doors.ts";
import { silent } from "../core/log.ts";
import { createMeter } from "../core/meter.ts";
import { spoolSchema } from "../spool/config.ts";
import { openSpool } from "../spool/spool.ts";
import * as spool from "./spool.ts";

/** A spool in `dir` with `count` records of the sources `a` and `b` in turn, closed again. */
async function filled(dir: string, count: number): Promise<void> {
  const made = await openSpool({
    config: v.parse(spoolSchema, { dir, min_free_bytes: 0 }),
    doors: systemDoors,
    board: createBoard(silent, () => 0),
    log: silent,
    meter: createMeter(),
    writer: "test",
    machineId: "m",
    sinks: ["lake"],
    kill: new AbortController().signal,
  });
  await made.append(
    (frames) => {
      for (let n = 0; n < count; n++) {
        const bytes = Buffer.from(`${JSON.stringify({ source: n % 2 === 0 ? "a" : "b", message: `m${n}` })}\n`);
        const frame = frames("", {}, 1_000_000, bytes.byteLength);
        frame.bytes.set(bytes, frame.length);
        frame.length += bytes.byteLength;
        frame.records++;
        frame.minMs = frame.maxMs = 1_000_000;
      }
    },
    "app",
    { file1: { offset: 42 } },
  );
  await made.close();
}
async function call(run: (io: TestIo) => Promise<number>): Promise<{ exit: number; out: string; err: string }> {
  const io = testIo();
  const exit = await run(io);
  return { exit, out: io.out(), err: io.err() };
}
const messages = (out: string): string[] =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { message: string }).message);

test("ls shows segments and positions, for people and for machines", async () => {
  await using dir = await scratch();
  await filled(dir.path, 10);
  const { exit, out } = await call((io) => spool.list({ dir: dir.path, config: "" }, io));
  expect(exit).toBe(0);
  expect(out).toMatch(/^SEGMENT +SIZE +RAW +RECORDS +SEQUENCES/);
  expect(out).toMatch(/ 10 +0\.\.9 +1 +1 +1970-01-01T00:16:40\.000Z/);
  expect(out).toMatch(/^app +file1 +\{"offset":42\}$/m);
  const json = JSON.parse((await call((io) => spool.list({ dir: dir.path, config: "", json: true }, io))).out) as {
    segments: { records: number }[];
    positions: unknown;
  };
  expect(json.segments.map(({ records }) => records)).toEqual([10]);
  expect(json.positions).toEqual({ app: { file1: { offset: 42 } } });
});

test("cat prints what is asked for; the folder may come from the configuration", async () => {
  await using dir = await scratch();
  await filled(dir.join("spool"), 10);
  await writeFile(
    dir.join("l.yaml"),
    `sources: { app: { type: stdin } }\nsinks: { disk: { type: directory, dir: /data } }\nspool: { dir: ${dir.join("spool")} }\n`,
  );
  const config = dir.join("l.yaml");
  expect(messages((await call((io) => spool.cat({ config }, io))).out)).toHaveLength(10);
  expect(messages((await call((io) => spool.cat({ config, from: 3, to: 6, source: "b" }, io))).out)).toEqual(["m3", "m5"]);
  expect(await call((io) => spool.cat({ config: dir.join("none.yaml") }, io))).toMatchObject({
    exit: 2,
    err: expect.stringContaining("there is no such file"),
  });
});

test("verify is content with a whole spool, and names the segment of a rotten byte", async () => {
  await using dir = await scratch();
  await filled(dir.path, 1000);
  expect(await call((io) => spool.verify({ dir: dir.path, config: "" }, io))).toEqual({
    exit: 0,
    out: `${dir.path}: every checksum is right\n`,
    err: "",
  });
  const [segment] = await readdir(dir.join("segments"));
  await using file = await open(dir.join("segments", segment!), "r+");
  const { size } = await file.stat();
  await file.write(Uint8Array.of(0x5a, 0xa5), 0, 2, Math.floor(size / 2));
  const { exit, out } = await call((io) => spool.verify({ dir: dir.path, config: "" }, io));
  expect(exit).toBe(1);
  expect(out).toMatch(new RegExp(`^${segment}: byte \\d+: spool_[a-z_]+: `));
  expect(out).toEndWith(`${dir.path}: 1 damaged place\n`);
  expect(JSON.parse((await call((io) => spool.verify({ dir: dir.path, config: "", json: true }, io))).out)).toEqual([
    expect.objectContaining({ file: segment, code: expect.stringMatching(/^spool_/) }),
  ]);
});
