/** What the running executable says of its files: a backlog with what is left, what deleted files hold and what of it was given up, rights that come. */
import { expect, test } from "bun:test";
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { numbered, startForeign } from "../support/foreign.ts";
import { executable, logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { runProcess } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { asPlainUser } from "../support/user.ts";

const MiB = 2 ** 20;

test("a backlog while the sink is away: what is left and how fast is said; deleted files are held up to the bound, and the rest is counted", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  for (const name of ["a", "b"]) writeFileSync(dir.join(`${name}.log`), numbered(name, 0, 24_000, 1000));
  const config = await writeConfig(dir.path, {
    spool: { max_bytes: "8MiB" },
    drain_timeout: "500ms",
    sources: { app: { type: "file", include: [dir.join("*.log")], deleted_bytes_max: "30MiB" } },
    sinks: { central: { type: "http", url: foreign.url, batch: { bytes_max: "1MiB", age_max: "100ms" }, retry: { min: "50ms", max: "300ms" } } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await standing(socket, "spool", "spool_full", "failing", []);
  const app = async () => (await look(socket)).status.sources["app"];
  const backlog = await until(async () => (await app())?.backlog, "the backlog is seen");
  expect(backlog.bytes_left).toBeGreaterThan(16 * MiB);
  const shown = await logferry(["status", "--config", config]);
  expect(shown.stdout).toMatch(/app: 2 files: 2 reading; \d+ MiB left, [\d.]+ \w+\/s/);
  expect(shown.stdout).toMatch(/\/[ab]\.log +reading +\d+ MiB +[\d,]+ +24,[\d,]+ /);

  rmSync(dir.join("a.log"));
  const held = await until(async () => {
    const seen = await app();
    return seen?.files?.some(({ state, gone }) => state === "draining" && gone === "deleted") === true ? seen : undefined;
  }, "the deleted file is drained");
  expect(held.deleted_bytes).toBeLessThanOrEqual(30 * MiB);
  expect((await logferry(["status", "--config", config])).stdout).toContain("of deleted files held open");
  expect(held.deleted_lost_bytes).toBe(0);
  rmSync(dir.join("b.log"));
  const lost = await until(async () => {
    const seen = await look(socket);
    return seen.status.faults["file_deleted_unread"] === 1 ? seen : undefined;
  }, "the one deleted first is given up");
  const { deleted_lost_bytes = 0, deleted_bytes = 0, files_total } = lost.status.sources["app"] ?? {};
  expect(deleted_lost_bytes).toBeGreaterThan(0);
  expect(deleted_bytes).toBeLessThanOrEqual(30 * MiB);
  expect(files_total).toBe(1);
  expect(lost.metric('logferry_source_deleted_lost_bytes_total{source="app"}')).toBe(deleted_lost_bytes);

  foreign.answer = () => new Response(null, { status: 204 });
  // All of the other one, though it has no name any more either.
  const b = (): number => foreign.records.filter(({ message = "" }) => message.startsWith("w=b ")).length;
  await until(() => b() >= 24_000, "the other one arrives");
  expect(await running.stop()).toBe(0);
  const counted = lostAndRepeated(foreign.records, { b: 24_000 });
  expect({ lost: counted.lost, repeated: counted.repeated }).toEqual({ lost: 0, repeated: 0 });
}, 90_000);

test("newest_first: what is new arrives before what is old", async () => {
  await using dir = await scratch();
  for (const [index, name] of ["old", "middle", "new"].entries()) {
    writeFileSync(dir.join(`${name}.log`), numbered(name, 0, 12_000, 1000));
    expect((await runProcess(["touch", "-d", `${3 - index} days ago`, dir.join(`${name}.log`)])).code).toBe(0);
  }
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("*.log")], order: "newest_first" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake") } },
  });
  const { code, stderr } = await logferry(["run", "--once", "--config", config]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const names = (await readLake(dir.join("lake"))).map(({ message = "" }) => /^w=(\w+)/.exec(message)?.[1] ?? "");
  expect(names.length).toBe(36_000);
  const end = (name: string): number => names.lastIndexOf(name);
  expect(end("new")).toBeLessThan(end("middle"));
  expect(end("middle")).toBeLessThan(end("old"));
}, 60_000);

test("a file that may not be read is reported once and read from its begin when it may", async () => {
  await using dir = await scratch();
  writeFileSync(dir.join("a.log"), numbered("a", 0, 5));
  chmodSync(dir.join("a.log"), 0);
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")], discover_interval: "100ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { age_max: "1s" } } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket, [], asPlainUser);
  await standing(socket, "sources.app", "file_permission_denied", "degraded", ["a.log", "permission denied", "setfacl"]);
  const shown = await runProcess([...asPlainUser, executable, "status", "--config", config]);
  expect(shown.stdout).toMatch(/a\.log +unreadable /);
  await until(async () => (await look(socket)).status.uptime_s >= 2, "some more looks");
  expect((await look(socket)).status.faults["file_permission_denied"]).toBe(1);
  chmodSync(dir.join("a.log"), 0o644);
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 5 })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 60_000);
