/** Ending on a bad day: a dead far side, a second signal, a hang-up, nobody who reads what we say. */
import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { numbered, startForeign } from "../support/foreign.ts";
import { lostAndRepeated } from "../support/lake.ts";
import { executable, startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const batch = { bytes_max: "1MiB", age_max: "100ms" };
const retry = { min: "50ms", max: "300ms" };
const none = { lost: 0, repeated: 0, foreign: 0 };

function deadSink(dir: Scratch, url: string, drainTimeout: string): Promise<string> {
  return writeConfig(dir.path, {
    drain_timeout: drainTimeout,
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url, batch, retry } },
  });
}

test("SIGTERM with a sink that is dead: exit code 3 after drain_timeout, and the next start delivers", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Promise(() => {});
  await writeFile(dir.join("a.log"), numbered("a", 0, 200));
  const config = await deadSink(dir, foreign.url, "2s");
  const socket = dir.join("control.sock");
  {
    await using running = startLogferry(config, socket);
    await running.ready();
    await until(() => foreign.requests.length > 0, "a batch is under way");
    const begun = performance.now();
    expect(await running.stop()).toBe(3);
    const tookMs = performance.now() - begun;
    expect(tookMs).toBeGreaterThan(1900);
    expect(tookMs).toBeLessThan(6000);
    expect(running.stderr()).toContain("safe in the spool");
  }
  foreign.answer = () => new Response(null, { status: 204 });
  await using running = startLogferry(config, socket);
  await running.ready();
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 200 })).toEqual(none);
}, 30_000);

test("a sink that comes back during the drain still gets everything: exit code 0", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 200));
  const config = await deadSink(dir, foreign.url, "30s");
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  await standing(socket, "sinks.central", "http_busy", "degraded", []);
  running.kill("SIGTERM");
  await until(() => running.stderr().includes("stopping"), "it drains");
  const during = await look(socket);
  expect(during.live).toBe(200);
  foreign.answer = () => new Response(null, { status: 204 });
  expect(await running.exited).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 200 })).toEqual(none);
}, 30_000);

test("a second SIGTERM cuts the drain at once", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Promise(() => {});
  await writeFile(dir.join("a.log"), numbered("a", 0, 200));
  const config = await deadSink(dir, foreign.url, "10m");
  const socket = dir.join("control.sock");
  {
    await using running = startLogferry(config, socket);
    await running.ready();
    await until(() => foreign.requests.length > 0, "a batch is under way");
    running.kill("SIGTERM");
    await until(() => running.stderr().includes("stopping"), "it drains");
    const begun = performance.now();
    running.kill("SIGTERM");
    expect(await running.exited).toBe(3);
    expect(performance.now() - begun).toBeLessThan(4000);
  }
  foreign.answer = () => new Response(null, { status: 204 });
  await using running = startLogferry(config, socket);
  await running.ready();
  await recovered(socket);
  expect(lostAndRepeated(foreign.records, { a: 200 })).toEqual(none);
}, 30_000);

test("SIGHUP does not end it", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a.log"), numbered("a", 0, 10));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  running.kill("SIGHUP");
  await until(() => running.stderr().includes("SIGHUP"), "it says what it does about it");
  await appendFile(dir.join("a.log"), numbered("a", 10, 10));
  await until(async () => (await running.status()).sinks["lake"]?.records === 20, "it goes on");
  expect(await running.stop()).toBe(0);
}, 30_000);

test.each([
  ["closed", 'echo $$; exec "$@" >&- 2>&-'],
  ["a pipe whose reader is gone", `{ sh -c 'echo $$ >&3; exec "$@" 3>&-' sh "$@" 2>&1 | true; } 3>&1 >/dev/null`],
  ["a full device", 'echo $$; exec "$@" >/dev/full 2>&1'],
])(
  "standard output and standard error %s: shipping goes on",
  // Never in the background of a shell that ends: the test runner ends what was left behind by its children.
  async (_, line) => {
    await using dir = await scratch();
    await using foreign = startForeign();
    foreign.answer = () => new Response("later", { status: 503 });
    await writeFile(dir.join("a.log"), numbered("a", 0, 10));
    const config = await writeConfig(dir.path, {
      log: { level: "debug" },
      sources: { app: { type: "file", include: [dir.join("a.log")] } },
      sinks: { central: { type: "http", url: foreign.url, batch, retry } },
    });
    const socket = dir.join("control.sock");
    const shell = Bun.spawn(["sh", "-c", line, "sh", executable, "run", "--config", config], {
      stdout: "pipe",
      stderr: "ignore",
    });
    const pid = await until(async () => {
      for await (const part of shell.stdout) return Number(new TextDecoder().decode(part));
      return undefined;
    }, "the shell says its process id");
    try {
      // What is logged meanwhile goes nowhere.
      await standing(socket, "sinks.central", "http_busy", "degraded", []);
      foreign.answer = () => new Response(null, { status: 204 });
      await recovered(socket);
      await appendFile(dir.join("a.log"), numbered("a", 10, 10));
      await until(() => foreign.records.length === 20, "it goes on");
    } finally {
      process.kill(pid, "SIGTERM");
    }
    await until(async () => !(await Bun.file(`/proc/${pid}/stat`).exists()), "it ends");
    expect(lostAndRepeated(foreign.records, { a: 20 })).toEqual(none);
  },
  30_000,
);
