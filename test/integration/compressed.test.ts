/** Rotated logs that are compressed beside us, with the real executable and the real compressors. */
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { memoryOf } from "../support/peak.ts";
import { runProcess, startProcess } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const writer = join(import.meta.dir, "..", "support", "shrinker.ts");
const batch = { bytes_max: "256KiB", age_max: "300ms" };

test("rotated and compressed under load, at once and one rotation later, killed again and again: every line once", async () => {
  await using dir = await scratch();
  const logs = dir.join("logs");
  await mkdir(logs);
  const configPath = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [join(logs, "*.log*")], discover_interval: "200ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const socket = dir.join("control.sock");
  await using writing = startProcess([process.execPath, writer, logs, "1500", "2500"]);
  for (let kill = 0; kill < 6; kill++) {
    await using running = startLogferry(configPath, socket);
    await running.ready();
    const before = (await running.status()).sources["app"]?.records ?? 0;
    await until(async () => ((await running.status()).sources["app"]?.records ?? 0) > before, "it reads");
    // Any moment of a rotation, a compression and of what we make of it; then time enough for a rotation that we do not see.
    await Bun.sleep(Math.random() * 2500);
    await running.stop("SIGKILL");
    await Bun.sleep(Math.random() * 2500);
  }
  await using last = startLogferry(configPath, socket);
  await last.ready();
  await writing.stop();
  const written = JSON.parse(writing.stdout()) as Record<string, number>;
  const lines = Object.values(written).reduce((sum, count) => sum + count, 0);
  expect(lines).toBeGreaterThan(20_000);
  await until(async () => (await last.status()).spool.last_sequence + 1 >= lines, "every line is read");
  // What is left is compressed copies of what was read: they must bring nothing.
  await until(async () => {
    const { sources, sinks } = await last.status();
    return sources["app"]?.lag_bytes === 0 && Object.values(sinks).every((sink) => sink.lag_records === 0);
  }, "nothing is left");
  await Bun.sleep(2500);
  expect(await last.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), written)).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 180_000);

test("large ones that nobody knew, of many members and frames: killed in the middle of each, every line once, at its place", async () => {
  await using dir = await scratch();
  const logs = dir.join("logs");
  await mkdir(logs);
  const made = `
    for part in 0 1 2 3 4; do
      seq -f "w=one n=%.0f some words to make a line" $((part * 100000)) $((part * 100000 + 99999)) | gzip -1 >> one.log.1.gz
      seq -f "w=two n=%.0f some words to make a line" $((part * 100000)) $((part * 100000 + 99999)) | zstd -q -1 >> two.log.1.zst
    done`;
  expect((await runProcess(["bash", "-c", made], { cwd: logs })).code).toBe(0);
  const configPath = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [join(logs, "*.log*")], discover_interval: "200ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { bytes_max: "4MiB", age_max: "300ms" } } },
  });
  const socket = dir.join("control.sock");
  let kills = 0;
  for (let done = 0; done < 900_000; kills++) {
    await using running = startLogferry(configPath, socket);
    await running.ready();
    await until(async () => (await running.status()).spool.last_sequence >= Math.min(999_999, done + 20_000), "it gets on");
    done = (await running.status()).spool.last_sequence + 1;
    await running.stop("SIGKILL");
  }
  expect(kills).toBeGreaterThan(2);
  await using last = startLogferry(configPath, socket);
  await until(async () => (await last.status()).sinks["lake"]?.delivered_sequence === 999_999, "all is delivered");
  expect(await last.stop()).toBe(0);
  const records = await readLake(dir.join("lake"));
  expect(lostAndRepeated(records, { one: 500_000, two: 500_000 })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
  const places = new Set(records.map(({ file, offset }) => `${file} ${offset}`));
  expect(places.size).toBe(1_000_000);
}, 120_000);

test("bombs of one line: cut, skipped, in bounded memory", async () => {
  await using dir = await scratch();
  const logs = dir.join("logs");
  await mkdir(logs);
  const line = "{ echo begin; head -c 500000000 /dev/zero | tr '\\0' y; echo; echo end; }";
  const made = await runProcess(["bash", "-c", `${line} | tee >(zstd -q -1 > two.log.1.zst) | gzip -1 > one.log.1.gz; wait`], { cwd: logs });
  expect(made.code).toBe(0);
  const configPath = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [join(logs, "*.log*")], discover_interval: "200ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  await using running = startLogferry(configPath, dir.join("control.sock"));
  await running.ready();
  const before = memoryOf(running.pid, "VmHWM");
  await until(async () => (await running.status()).sinks["lake"]?.delivered_sequence === 5, "both are delivered");
  const grown = memoryOf(running.pid, "VmHWM") - before;
  expect(await running.stop()).toBe(0);
  expect((await readLake(dir.join("lake"))).map(({ message = "" }) => message.length).toSorted((a, b) => a - b)).toEqual([
    3,
    3,
    5,
    5,
    2 ** 20,
    2 ** 20,
  ]);
  expect(grown).toBeLessThan(60_000_000);
}, 60_000);
