/**
 * The spool's disk on bad days that only a real kernel has, under the real executable: read-only, full to the last byte at the start, over
 * its quota, slow. Each time nothing is lost and nothing comes twice.
 *
 * What a kernel does not do: `mount -o remount,ro` is refused (busy) while anybody has a file open for writing, as a spool in use has. So the
 * file system turns read-only in the two ways it does on real hosts: for every name at once, by a read-only mount over it, which is taken
 * away again; and as a whole, as ext4 does after errors (`remount,abort`), which no kernel takes back without an unmount.
 * A quota of ext4 needs a kernel with CONFIG_QFMT_V2, which many have not: EDQUOT comes from the disk door of the build with crash points.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buildWithPoints } from "../crash/build.ts";
import { numbered, startForeign, type Foreign } from "../support/foreign.ts";
import { loopImage, loopMissing, run } from "../support/image.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { leftOut } from "../support/privilege.ts";
import { startProcess } from "../support/process.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const none = { lost: 0, repeated: 0, foreign: 0 };
const batch = { bytes_max: "1MiB", age_max: "100ms" };
const retry = { min: "50ms", max: "300ms" };

let dir: Scratch;
let missing: string | undefined;
let withPoints: string;
beforeAll(async () => {
  dir = await scratch();
  missing = await loopMissing(dir.path);
  withPoints = await buildWithPoints(dir.path);
}, 120_000);
afterAll(() => dir[Symbol.asyncDispose]());

async function configFor(own: Scratch, spool: string, sink: object, more: object = {}): Promise<string> {
  return writeConfig(own.path, {
    spool: { dir: spool, segment_bytes: "1MiB", max_bytes: "16MiB", ...more },
    sources: { app: { type: "file", include: [own.join("a.log")] } },
    sinks: { far: { batch, retry, ...sink } },
  });
}

test("a read-only mount over the spool in use: it pauses and says so; once it is gone, it goes on by itself", async () => {
  if (leftOut("a read-only file system", missing)) return;
  await using own = await scratch();
  await using image = await loopImage(own.join("image"), 64);
  await writeFile(own.join("a.log"), numbered("a", 0, 100));
  const config = await configFor(own, join(image.mount, "spool"), { type: "directory", dir: own.join("lake") });
  const socket = own.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  await until(async () => (await running.status()).sinks["far"]?.records === 100, "it runs");
  await expect(run("mount", "-o", "remount,ro", image.mount)).rejects.toThrow("busy");
  await run("mount", "--bind", image.mount, image.mount);
  await run("mount", "-o", "remount,bind,ro", image.mount);
  // More than the open segment takes: the next one cannot be made.
  await appendFile(own.join("a.log"), numbered("a", 100, 4000, 1000));
  const seen = await standing(socket, "spool", "spool_write_failed", "failing", ["read-only file system", "mounted for writing"]);
  expect({ ready: seen.ready, paused: seen.status.spool.paused }).toEqual({ ready: 503, paused: "failing" });
  await run("umount", image.mount);
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(own.join("lake")), { a: 4100 })).toEqual(none);
}, 60_000);

test("a file system that turns read-only as a whole: it pauses and says so, and goes on after a mount and a restart", async () => {
  if (leftOut("a read-only file system", missing)) return;
  await using own = await scratch();
  await using image = await loopImage(own.join("image"), 64);
  await writeFile(own.join("a.log"), numbered("a", 0, 100));
  const config = await configFor(own, join(image.mount, "spool"), { type: "directory", dir: own.join("lake") });
  const socket = own.join("control.sock");
  {
    await using running = startLogferry(config, socket);
    await running.ready();
    await until(async () => (await running.status()).sinks["far"]?.records === 100, "it runs");
    await appendFile(own.join("a.log"), numbered("a", 100, 100));
    await run("mount", "-o", "remount,abort", image.mount);
    await appendFile(own.join("a.log"), numbered("a", 200, 3000, 1000));
    const { reasons, ready, live } = await until(async () => {
      const seen = await look(socket);
      return seen.state === "failing" && seen.reasons.some(({ component }) => component === "spool") ? seen : undefined;
    }, "it pauses");
    expect({ ready, live }).toEqual({ ready: 503, live: 200 });
    expect(
      reasons
        .filter(({ component }) => component === "spool")
        .map(({ message, hint }) => `${message} ${hint}`)
        .join(),
    ).toMatch(/read-only|kernel log/);
    await running.stop("SIGKILL");
  }
  await run("umount", image.mount);
  await run("mount", "-t", "ext4", image.device, image.mount);
  await using running = startLogferry(config, socket);
  await running.ready();
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(own.join("lake")), { a: 3200 })).toEqual(none);
}, 60_000);

/** Writes until there is no byte left. */
async function fill(path: string): Promise<void> {
  await using file = await open(path, "a");
  for (let bytes = 1024 * 1024; bytes >= 1;) {
    try {
      const { bytesWritten } = await file.write(Buffer.alloc(bytes, 1));
      if (bytesWritten < bytes) bytes >>= 1;
    } catch {
      bytes >>= 1;
    }
  }
}

for (const reserve of ["there", "gone"]) {
  test(`a start on a disk without a byte left, the reserve ${reserve}: it runs, says so, takes nothing, ships, and goes on by itself`, async () => {
    if (leftOut("a full disk", missing)) return;
    await using own = await scratch();
    await using image = await loopImage(own.join("image"), 48);
    await using foreign: Foreign = startForeign();
    foreign.answer = () => new Response("later", { status: 503 });
    await writeFile(own.join("a.log"), numbered("a", 0, 2000, 200));
    const spool = join(image.mount, "spool");
    const config = await configFor(own, spool, { type: "http", url: foreign.url });
    const socket = own.join("control.sock");
    {
      await using running = startLogferry(config, socket);
      await running.ready();
      await until(async () => (await running.status()).spool.last_sequence === 1999, "the lines are durable");
      await running.stop("SIGKILL");
    }
    if (reserve === "gone") await rm(join(spool, "reserve"));
    await fill(join(image.mount, "filler"));
    await appendFile(own.join("a.log"), numbered("a", 2000, 1000, 200));
    await using running = startLogferry(config, socket);
    const seen = await standing(socket, "spool", "spool_disk_full", "failing", ["MiB free", "free space"]);
    expect({ ready: seen.ready, last: seen.status.spool.last_sequence }).toEqual({ ready: 503, last: 1999 });
    // What it holds is shipped all the same, as soon as there is room for a line of the journal: with the reserve, at once.
    foreign.answer = () => new Response(null, { status: 204 });
    if (reserve === "there") await until(() => foreign.records.length === 2000, "what it holds is shipped");
    await rm(join(image.mount, "filler"));
    await recovered(socket);
    expect(await running.stop()).toBe(0);
    expect(lostAndRepeated(foreign.records, { a: 3000 })).toEqual(none);
  }, 60_000);
}

/** The build with crash points, its disk as `env` says. */
function startWithPoints(config: string, socket: string, env: Record<string, string>): ReturnType<typeof startLogferry> {
  const { [Symbol.asyncDispose]: end, ...started } = startProcess([withPoints, "run", "--config", config], { env });
  const get = (path: string): Promise<Response> => fetch(`http://localhost${path}`, { unix: socket });
  return {
    ...started,
    [Symbol.asyncDispose]: end,
    configPath: config,
    status: async () => (await (await get("/status")).json()) as never,
    health: async () => (await (await get("/health")).json()) as never,
    ready: async () => void (await until(async () => (await get("/ready")).status === 200, "it is ready")),
  };
}

test("over its quota, though the file system has room: it pauses, says so, gives the reserve to its journals, and goes on once there is more", async () => {
  await using own = await scratch();
  await using foreign = startForeign();
  await writeFile(own.join("a.log"), numbered("a", 0, 8000, 1000));
  await writeFile(own.join("quota"), String(12 * 2 ** 20));
  foreign.answer = () => new Response("later", { status: 503 });
  const config = await configFor(own, own.join("spool"), { type: "http", url: foreign.url });
  const socket = own.join("control.sock");
  await using running = startWithPoints(config, socket, { LOGFERRY_QUOTA: own.join("quota") });
  const seen = await Promise.any([
    standing(socket, "spool", "spool_no_space", "failing", ["quota", "free space"]),
    standing(socket, "spool", "spool_disk_full", "failing", ["raise the quota"]),
  ]);
  expect(seen.ready).toBe(503);
  foreign.answer = () => new Response(null, { status: 204 });
  await until(() => foreign.records.length > 0, "journals are written, and it ships");
  await writeFile(own.join("quota"), String(64 * 2 ** 20));
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 8000 })).toEqual(none);
}, 60_000);

test("100 ms for every sync: megabytes a second through group commit, and it answers meanwhile", async () => {
  await using own = await scratch();
  await mkdir(own.join("lake"));
  const lines = 40_000;
  await writeFile(own.join("a.log"), numbered("a", 0, lines, 500));
  const config = await configFor(
    own,
    own.join("spool"),
    { type: "directory", dir: own.join("lake") },
    { max_bytes: "256MiB", segment_bytes: "16MiB" },
  );
  const socket = own.join("control.sock");
  await using running = startWithPoints(config, socket, { LOGFERRY_SYNC: "100ms" });
  await running.ready();
  const beganMs = performance.now();
  let worstMs = 0;
  let answers = 0;
  await until(async () => {
    const askedMs = performance.now();
    const status = await running.status();
    worstMs = Math.max(worstMs, performance.now() - askedMs);
    answers++;
    return (status.sources["app"]?.records ?? 0) === lines;
  }, "everything is durable");
  const seconds = (performance.now() - beganMs) / 1000;
  // 21 MB: one sync after the other for each 512 KiB that is read would take more than four seconds.
  expect({ fast: seconds < 4, answers: answers > 5, blocked: worstMs > 1000 }).toEqual({ fast: true, answers: true, blocked: false });
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(own.join("lake")), { a: lines })).toEqual(none);
}, 60_000);
