/** No room: a full spool and full disks are backpressure. Nothing is lost, nothing repeated, and it goes on by itself. */
import { expect, test } from "bun:test";
import { appendFile, chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { numbered, startForeign } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { executable, startLogferry, writeConfig } from "../support/logferry.ts";
import { judge, look, recovered, standing, type Look } from "../support/look.ts";
import { runProcess } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { leftOut } from "../support/privilege.ts";
import { onSmallDisk, seenBy, smallDiskMissing } from "../support/smalldisk.ts";
import { until } from "../support/until.ts";
import { asPlainUser } from "../support/user.ts";

const batch = { bytes_max: "1MiB", age_max: "100ms" };
const retry = { min: "50ms", max: "300ms" };
const none = { lost: 0, repeated: 0, foreign: 0 };
const MiB = 2 ** 20;

/** 14 MB that compress to 11 MB. */
const lines = 14_000;
const manyLines = numbered("a", 0, lines, 1000);

/** `condition` still holds after one more look at the disk and one more try. */
async function stays(socket: string, condition: (seen: Look) => boolean): Promise<void> {
  const before = await look(socket);
  expect(condition(before)).toBe(true);
  const { uptime_s } = before.status;
  const after = await until(async () => {
    const seen = await look(socket);
    return seen.status.uptime_s >= uptime_s + 2 ? seen : undefined;
  }, "two seconds have passed");
  expect(condition(after)).toBe(true);
}

test("buffer full: sources wait, health fails, a restart changes nothing; the sink comes back and all goes on by itself", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  await writeFile(dir.join("a.log"), manyLines);
  const config = await writeConfig(dir.path, {
    spool: { max_bytes: "8MiB" },
    drain_timeout: "500ms",
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url: foreign.url, batch, retry } },
  });
  const socket = dir.join("control.sock");
  const full = (seen: Look): boolean => seen.ready === 503 && seen.health === 503 && seen.status.spool.paused === "full";
  for (const life of ["first", "second"]) {
    await using running = startLogferry(config, socket);
    const seen = await standing(socket, "spool", "spool_full", "failing", ["of 8.0 MiB", "mend the sink", "spool.max_bytes"]);
    expect({ life, ready: seen.ready, paused: seen.status.spool.paused }).toEqual({ life, ready: 503, paused: "full" });
    expect(seen.metric('logferry_spool_paused{reason="full"}')).toBe(1);
    expect(seen.status.spool.bytes).toBeLessThanOrEqual(8 * MiB);
    expect(seen.status.spool.bytes).toBeGreaterThan(5 * MiB);
    await until(async () => ((await running.status()).sources["app"]?.lag_bytes ?? 0) > MiB, "the source says what it has not read");
    await stays(socket, full);
    expect(await running.stop()).toBe(3);
  }
  await using running = startLogferry(config, socket);
  await standing(socket, "spool", "spool_full", "failing", []);
  foreign.answer = () => new Response(null, { status: 204 });
  const { status } = await recovered(socket);
  expect(status.spool.paused).toBe("");
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: lines })).toEqual(none);
}, 60_000);

/** A run on a disk of 36 MiB, 8 of them the reserve, that is filled up with `fillerMiB`; returns when all is delivered after the filler has gone. */
async function fullSpoolDisk(minFree: string, fillerMiB: number, expectFull: (socket: string) => Promise<Look>): Promise<void> {
  await using dir = await scratch();
  const disk = dir.join("disk");
  await mkdir(disk);
  await writeFile(dir.join("a.log"), numbered("b", 0, 10));
  const config = await writeConfig(dir.path, {
    spool: { dir: `${disk}/spool`, min_free_bytes: minFree, max_bytes: "64MiB" },
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    // Nothing is delivered before there is room again, so that only the filler makes any.
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { bytes_max: "64MiB", age_max: "3s" } } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket, [], onSmallDisk(disk, 36));
  await until(async () => (await running.status()).sources["app"]?.records === 10, "the first lines are in the spool, and the reserve taken");
  const filler = seenBy(running.pid, `${disk}/filler`);
  await writeFile(filler, Buffer.alloc(fillerMiB * MiB));
  await appendFile(dir.join("a.log"), manyLines);
  const seen = await expectFull(socket);
  expect(seen.ready).toBe(503);
  expect(["no_space", "failing"]).toContain(seen.status.spool.paused);
  await stays(socket, ({ status, health }) => health === 503 && status.spool.paused !== "");
  await rm(filler);
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: lines, b: 10 })).toEqual(none);
}

test("the spool's disk goes below min_free_bytes: sources wait, and all goes on once there is room", async () => {
  if (leftOut("a full disk", smallDiskMissing)) return;
  await fullSpoolDisk("15MiB", 15, (socket) =>
    standing(socket, "spool", "spool_disk_full", "failing", ["MiB free", "spool.min_free_bytes", "free space"]),
  );
}, 60_000);

test("disk full: to the last byte, and sources wait, and all goes on once there is room", async () => {
  if (leftOut("a full disk", smallDiskMissing)) return;
  await fullSpoolDisk("0", 23, (socket) =>
    // Which of them depends on who notices first: the write, or the look before it.
    Promise.any([
      standing(socket, "spool", "spool_no_space", "failing", ["no space left on device", "free space"]),
      standing(socket, "spool", "spool_disk_full", "failing", ["MiB free", "free space"]),
    ]),
  );
}, 60_000);

test("the directory sink's disk is full in the middle of a file: kept, no half file, and all goes on once there is room", async () => {
  if (leftOut("a full disk", smallDiskMissing)) return;
  await using dir = await scratch();
  const disk = dir.join("disk");
  await mkdir(disk);
  await writeFile(dir.join("a.log"), manyLines);
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: disk, batch, retry }, other: { type: "directory", dir: dir.join("other"), batch } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket, [], onSmallDisk(disk, 6));
  await running.ready();
  const seen = await standing(socket, "sinks.lake", "directory_no_space", "degraded", [disk, "no space left on device", "free space"]);
  expect({ ready: seen.ready, paused: seen.status.spool.paused }).toEqual({ ready: 200, paused: "" });
  await until(async () => (await running.status()).sinks["other"]?.records === lines, "the other sink delivers");
  const lake = seenBy(running.pid, disk);
  const before = await readLake(lake);
  expect(before.length).toBeGreaterThan(0);
  expect(before.length).toBeLessThan(lines);
  await runProcess(["nsenter", "--target", String(running.pid), "--mount", "mount", "-o", "remount,size=64m", disk]);
  await recovered(socket);
  expect(lostAndRepeated(await readLake(lake), { a: lines })).toEqual(none);
  expect((await Array.fromAsync(new Bun.Glob("**/.*").scan({ cwd: lake, dot: true }))).length).toBe(0);
  expect(await running.stop()).toBe(0);
}, 60_000);

test("a folder of the directory sink that may not be written, then a file in its place", async () => {
  await using dir = await scratch();
  await mkdir(dir.join("lake"), { mode: 0o500 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch, retry } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket, [], asPlainUser);
  await running.ready();
  await standing(socket, "sinks.lake", "directory_access_denied", "failing", [dir.join("lake"), "permission denied"]);
  await rm(dir.join("lake"), { recursive: true });
  await writeFile(dir.join("lake"), "");
  await standing(socket, "sinks.lake", "directory_path_invalid", "failing", [dir.join("lake"), "a part of the path is a file"]);
  await rm(dir.join("lake"));
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 100 })).toEqual(none);
}, 30_000);

test("a spool folder that may not be written: does not start, says which and why", async () => {
  await using dir = await scratch();
  await mkdir(dir.join("closed"));
  await chmod(dir.join("closed"), 0o500);
  await writeFile(dir.join("file"), "");
  await writeFile(dir.join("a.log"), numbered("a", 0, 10));
  for (const [place, why] of [
    [dir.join("closed", "spool"), "permission denied"],
    [dir.join("closed"), "permission denied"],
    [dir.join("file"), "not a directory"],
    [dir.join("file", "spool"), "not a directory"],
  ] as const) {
    const config = await writeConfig(dir.path, {
      spool: { dir: place },
      sources: { app: { type: "file", include: [dir.join("a.log")] } },
      sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
    });
    const { code, stderr } = await runProcess([...asPlainUser, executable, "run", "--config", config]);
    const last = JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as { code: string; event: string; hint: string };
    expect({ code, fault: last.code }).toEqual({ code: 1, fault: "spool_unusable" });
    expect(last.event).toContain(place);
    expect(last.event).toContain(why);
    judge({ code: last.code, message: last.event, hint: last.hint });
  }
}, 30_000);

test("a file in the spool that may not be read, as after a run as root: does not start, names it, and nothing is lost", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a.log"), numbered("a", 0, 10));
  const config = await writeConfig(dir.path, {
    drain_timeout: "0",
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { age_max: "5m" } } },
  });
  {
    await using running = startLogferry(config, dir.join("control.sock"));
    await until(async () => (await running.status()).sources["app"]?.records === 10, "the lines are in the spool");
    await running.stop("SIGKILL");
  }
  const [segment = ""] = await Array.fromAsync(new Bun.Glob("*.zst").scan({ cwd: dir.join("spool", "segments"), absolute: true }));
  await chmod(segment, 0);
  const refused = await runProcess([...asPlainUser, executable, "run", "--config", config]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(`open spool ${dir.join("spool")}: ${segment}: permission denied`);
  await chmod(segment, 0o600);
  await appendFile(dir.join("a.log"), numbered("a", 10, 10));
  expect((await runProcess([...asPlainUser, executable, "run", "--once", "--config", config])).code).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 20 })).toEqual(none);
}, 30_000);

test("a spool folder that turns read-only while running: sources wait, all goes on once it is writable", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch, retry } },
    spool: { max_bytes: "8MiB" },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket, [], asPlainUser);
  await running.ready();
  await recovered(socket);
  for (const folder of ["spool", "spool/segments"]) await chmod(dir.join(folder), 0o500);
  // More than the open segment takes: the next one cannot be made.
  await appendFile(dir.join("a.log"), numbered("a", 100, 4000, 1000));
  const seen = await standing(socket, "spool", "spool_write_failed", "failing", ["permission denied", dir.join("spool")]);
  expect(seen.ready).toBe(503);
  for (const folder of ["spool", "spool/segments"]) await chmod(dir.join(folder), 0o700);
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 4100 })).toEqual(none);
}, 30_000);
