/** On a real disk; what a real one does only on bad days is told by a door that fails. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { sinkConformance } from "../../../test/conformance/sink.ts";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { createBoard } from "../../core/board.ts";
import type { Batch, Sink } from "../../core/contract.ts";
import { systemDisk, type Disk } from "../../core/disk.ts";
import { systemDoors } from "../../core/doors.ts";
import { silent } from "../../core/log.ts";
import { directory } from "./sink.ts";

let dir: Scratch;
let count = 0;
beforeAll(async () => {
  dir = await scratch();
});
afterAll(() => dir[Symbol.asyncDispose]());

const config = (root: string, more: object = {}) => v.parse(directory.schema, { type: "directory", dir: root, prefix: "raw/", ...more });
const open = (root: string, disk: Disk = systemDisk, more: object = {}): Promise<Sink> =>
  directory.open(config(root, more), {
    name: "lake",
    host: "edge-1",
    spoolId: "0".repeat(32),
    doors: { ...systemDoors, disk },
    board: createBoard(silent, Date.now),
    log: silent,
  });
const fresh = (): string => dir.join(`far-${count++}`);
const pathOf = (root: string, batch: Batch): string => join(root, "raw", batch.lane, batch.name);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const error = (code: string): Promise<never> => Promise.reject(Object.assign(new Error(code), { code }));
const faultOf = (put: Promise<unknown>): Promise<unknown> =>
  put.then(
    () => "no fault",
    (cause: unknown) => cause,
  );
const { signals } = testSignals();

sinkConformance("directory", async () => {
  const root = fresh();
  return {
    open: () => open(root),
    async arrived(batch) {
      const found = await readFile(pathOf(root, batch)).catch(() => undefined);
      return found === undefined ? [] : [found];
    },
    async occupy(batch) {
      await mkdir(join(root, "raw", batch.lane), { recursive: true });
      await writeFile(pathOf(root, batch), "something else\n");
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  };
});

describe("files", () => {
  const batch = testBatch([bytesOf("a\n"), bytesOf("b\n")]);

  test("lie under prefix, partition and name, alone, not for everyone to read", async () => {
    const root = fresh();
    await using sink = await open(root);
    await sink.put(batch, signals);
    expect(await readdir(join(root, "raw", batch.lane))).toEqual([batch.name]);
    expect((await stat(pathOf(root, batch))).mode & 0o007).toBe(0);
  });

  test("every folder made on the way is synced into its parent, and the file's own folder after the file has its name", async () => {
    const root = fresh();
    const order: string[] = [];
    const disk: Disk = {
      ...systemDisk,
      async link(from, to) {
        await systemDisk.link(from, to);
        order.push("link");
      },
      async syncDirectory(path) {
        await systemDisk.syncDirectory(path);
        order.push(path);
      },
    };
    await using sink = await open(root, disk);
    await sink.put(batch, signals);
    const [date, hour] = batch.lane.split("/") as [string, string];
    expect(order).toEqual([dirname(dir.path), dir.path, root, join(root, "raw"), join(root, "raw", date), "link", join(root, "raw", date, hour)]);
  });

  test("a leftover of a crash under the temporary name, longer than the batch, does no harm", async () => {
    const root = fresh();
    await using sink = await open(root);
    const folder = join(root, "raw", batch.lane);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `.${batch.name}.tmp`), "x".repeat(10_000));
    await sink.put(batch, signals);
    expect(await readdir(folder)).toEqual([batch.name]);
    expect(await readFile(pathOf(root, batch), "utf8")).toBe("a\nb\n");
  });

  test("a file system without links gets a rename, and still nothing is overwritten", async () => {
    const root = fresh();
    await using sink = await open(root, { ...systemDisk, link: () => error("EPERM") });
    expect(await sink.put(batch, signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(batch, signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put({ ...batch, digest: "0".repeat(64) }, signals)).toEqual({ outcome: "forked" });
    expect(await readdir(join(root, "raw", batch.lane))).toEqual([batch.name]);
  });

  test("a file that was cut behind our back is told as forked, not as delivered", async () => {
    const root = fresh();
    await using sink = await open(root);
    await sink.put(batch, signals);
    await writeFile(pathOf(root, batch), "a\n");
    expect(await sink.put(batch, signals)).toEqual({ outcome: "forked" });
  });
});

describe("faults", () => {
  const batch = testBatch([bytesOf("a\n")]);
  const table: [errno: string, code: string, retry: string][] = [
    ["ENOSPC", "directory_no_space", "later"],
    ["EDQUOT", "directory_no_space", "later"],
    ["EACCES", "directory_access_denied", "denied"],
    ["EROFS", "directory_read_only", "denied"],
    ["ENAMETOOLONG", "directory_path_invalid", "denied"],
    ["EIO", "directory_failed", "later"],
  ];
  test.each(table)("%s is %s (%s), with a hint, and leaves no temporary file", async (errno, code, retry) => {
    const root = fresh();
    await using sink = await open(root, { ...systemDisk, link: () => error(errno) });
    const fault = await faultOf(sink.put(batch, signals));
    expect(fault).toMatchObject({ code, retry });
    expect((fault as { hint: string }).hint).not.toBe("");
    expect(await readdir(join(root, "raw", batch.lane))).toEqual([]);
  });

  test("a file where a folder should be", async () => {
    const root = fresh();
    await writeFile(root, "");
    await using sink = await open(root);
    expect(await faultOf(sink.put(batch, signals))).toMatchObject({ code: "directory_path_invalid", retry: "denied" });
  });
});

describe("check", () => {
  const check = (root: string, disk: Disk = systemDisk) =>
    directory.check(config(root), { name: "lake", host: "edge-1", doors: { ...systemDoors, disk } });

  test("writes and removes a file, and makes no folder", async () => {
    const root = fresh();
    expect(await check(join(root, "deep"))).toMatchObject([{ ok: true }]);
    expect(await readdir(dir.path)).not.toContain(root.split("/").at(-1));
    await mkdir(root);
    expect(await check(root)).toMatchObject([{ ok: true }]);
    expect(await readdir(root)).toEqual([]);
  });

  test("says what is wrong and what to do", async () => {
    expect(await check(fresh(), { ...systemDisk, open: () => error("EACCES") })).toMatchObject([{ ok: false, code: "directory_access_denied" }]);
    const file = fresh();
    await writeFile(file, "");
    expect(await check(file)).toMatchObject([{ ok: false, code: "directory_path_invalid" }]);
  });
});

test("the configuration has its defaults, and mistakes are named", () => {
  expect(directory.delivery(config("far"))).toEqual({
    partition: { template: "date=%Y-%m-%d/hour=%H", zone: "UTC" },
    codec: "zstd",
    bytesMax: 32 * 2 ** 20,
    ageMsMax: 300_000,
    retryMsMin: 500,
    retryMsMax: 60_000,
    concurrency: 4,
    start: "oldest",
  });
  const mistakes = (more: object) => {
    const parsed = v.safeParse(directory.schema, { type: "directory", dir: "far", ...more });
    return parsed.success ? [] : parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
  };
  expect(mistakes({ partition: "hour=%H/%M" })).toEqual(["partition: has %M, but partitions finer than an hour are not made: use %Y %m %d %H"]);
  expect(mistakes({ zone: "Mars/Olympus" }).join()).toContain("zone: is not a known time zone");
  expect(mistakes({ prefix: "../x" })).toEqual(["prefix: must not hold . or .. as a folder"]);
  expect(mistakes({ retry: { min: "1m", max: "1s" } })).toEqual(["retry: min must not be longer than max"]);
  expect(mistakes({ batch: { bytes: 5 } }).join()).toContain("batch.bytes");
  expect(mistakes({ concurrency: 0 })).toEqual(["concurrency: must be at least 1"]);
  expect(mistakes({ from: [] })).toEqual(["from: must name at least one source"]);
});
