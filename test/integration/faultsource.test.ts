/** Paths that cannot be read: each is said, the others go on, and nothing is lost once it can be read. */
import { expect, test } from "bun:test";
import { appendFile, chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { numbered } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { executable, startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { runProcess } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { asPlainUser } from "../support/user.ts";

const batch = { bytes_max: "1MiB", age_max: "100ms" };

test("a missing file, one that may not be read, a folder and a FIFO: four reasons, the good file goes on, all is read in the end", async () => {
  await using dir = await scratch();
  const logs = dir.join("logs");
  await mkdir(`${logs}/folder.log`, { recursive: true });
  await runProcess(["mkfifo", `${logs}/fifo.log`]);
  await writeFile(`${logs}/good.log`, numbered("good", 0, 100));
  await writeFile(`${logs}/secret.log`, numbered("secret", 0, 100));
  await chmod(`${logs}/secret.log`, 0);
  const include = ["folder", "fifo", "good", "secret", "missing"].map((name) => `${logs}/${name}.log`);
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include, discover_interval: "100ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const socket = dir.join("control.sock");
  const reasons: [code: string, ...says: string[]][] = [
    ["file_missing", `${logs}/missing.log`, "check the path", "as soon as it appears"],
    ["file_permission_denied", `open ${logs}/secret.log: permission denied`, `setfacl -m u:logferry:r ${logs}/secret.log`],
    ["file_not_regular", `${logs}/folder.log is a folder`, `include ${logs}/folder.log/*`],
    ["file_not_regular", `${logs}/fifo.log is a pipe`, "exclude"],
  ];

  const checked = await runProcess([...asPlainUser, executable, "check", "--config", config]);
  expect(checked.code).toBe(1);
  for (const [code, ...says] of reasons) for (const word of [code, ...says]) expect(checked.stdout).toContain(word);

  await using running = startLogferry(config, socket, [], asPlainUser);
  await running.ready();
  for (const [code, ...says] of reasons) await standing(socket, "sources.app", code, "degraded", says);
  const seen = await look(socket);
  expect(seen.reasons.length).toBe(reasons.length);
  expect(seen.ready).toBe(200);
  await until(async () => (await running.status()).sinks["lake"]?.records === 100, "the good file is delivered");

  await writeFile(`${logs}/missing.log`, numbered("missing", 0, 50));
  await chmod(`${logs}/secret.log`, 0o600);
  for (const name of ["folder", "fifo"]) await rm(`${logs}/${name}.log`, { recursive: true });
  for (const name of ["folder", "fifo"]) await writeFile(`${logs}/${name}.log`, numbered(name, 0, 10));
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { good: 100, secret: 100, missing: 50, folder: 10, fifo: 10 })).toEqual({
    lost: 0,
    repeated: 0,
    foreign: 0,
  });
});

test("run --once says by exit code 1 that a file could not be read, and delivers the others", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("good.log"), numbered("good", 0, 10));
  await writeFile(dir.join("secret.log"), numbered("secret", 0, 10));
  await chmod(dir.join("secret.log"), 0);
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("good.log"), dir.join("secret.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const once = (): ReturnType<typeof runProcess> => runProcess([...asPlainUser, executable, "run", "--once", "--config", config]);
  const first = await once();
  expect(first.code).toBe(1);
  expect(first.stderr).toContain("file_permission_denied");
  await chmod(dir.join("secret.log"), 0o600);
  expect((await once()).code).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { good: 10, secret: 10 })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
});

test("a quiet file whose last line has no end yet is no stall", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a.log"), `${numbered("a", 0, 10)}w=a n=10 and no`);
  const config = await writeConfig(dir.path, {
    health: { stalled_after: "1s" },
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  await until(async () => (await running.status()).sinks["lake"]?.records === 10, "the whole lines are delivered");
  // A stall would show once the uptime is beyond it: three looks later.
  const seen = await until(async () => {
    const each = await look(socket);
    return each.status.uptime_s >= 4 || each.state !== "ok" ? each : undefined;
  }, "it has been quiet for longer than stalled_after");
  expect({ state: seen.state, lag: seen.status.sources["app"]?.lag_bytes }).toEqual({ state: "ok", lag: 0 });
  await appendFile(dir.join("a.log"), " end\n");
  await until(async () => (await running.status()).sinks["lake"]?.records === 11, "the rest of the line is delivered");
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 11 })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
});
