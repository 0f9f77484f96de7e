/** `kill -9` at any moment, while a writer writes and rotates: no line lost, none twice, in the folder, in the bucket and behind HTTP. */
import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { startLogferry, writeConfig, type TestConfig } from "../support/logferry.ts";
import { startProcess } from "../support/process.ts";
import { freePort } from "../support/port.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw } from "../support/versitygw.ts";

const writer = join(import.meta.dir, "..", "support", "writer.ts");
const batch = { bytes_max: "256KiB", age_max: "300ms" };

/** Runs logferry over a rotating writer, kills it `kills` times at random moments, drains, and returns what was written. */
async function killed(dir: Scratch, config: TestConfig, kills: number): Promise<Record<string, number>> {
  await mkdir(dir.join("logs"));
  const configPath = await writeConfig(dir.path, config);
  await using writing = startProcess([process.execPath, writer, dir.join("logs"), "3600", "6000", "4000", "a", "b"]);
  for (let kill = 0; kill < kills; kill++) {
    await using running = startLogferry(configPath, dir.join("control.sock"));
    await running.ready();
    const before = (await running.status()).sources["app"]?.records ?? 0;
    await until(async () => ((await running.status()).sources["app"]?.records ?? 0) > before, "it reads");
    // A random moment within the next commits and batches.
    await Bun.sleep(Math.random() * 900);
    await running.stop("SIGKILL");
  }
  await using last = startLogferry(configPath, dir.join("control.sock"));
  await last.ready();
  await writing.stop();
  const written = JSON.parse(writing.stdout()) as Record<string, number>;
  // By the numbers of the records: a source that has not yet looked at its folder has no lag either.
  const lines = Object.values(written).reduce((sum, count) => sum + count, 0);
  await until(async () => {
    const { sinks, spool } = await last.status();
    return spool.last_sequence + 1 >= lines && Object.values(sinks).every((sink) => sink.lag_records === 0);
  }, "everything is delivered");
  expect(await last.stop()).toBe(0);
  return written;
}

test("12 × kill -9 while two files rotate by rename: nothing lost, nothing twice, in the folder and in the bucket", async () => {
  await using dir = await scratch();
  await using s3 = await startVersitygw(dir.join("s3"));
  await makeBucket(dir.join("s3"), "logs");
  await writeFile(dir.join("id"), s3.accessKey);
  await writeFile(dir.join("secret"), s3.secretKey);
  const written = await killed(
    dir,
    {
      sources: { app: { type: "file", include: [dir.join("logs", "*.log*")] } },
      sinks: {
        lake: { type: "directory", dir: dir.join("lake"), batch },
        bucket: {
          type: "s3",
          bucket: "logs",
          region: "us-east-1",
          endpoint: s3.endpoint,
          path_style: true,
          access_key_id_file: dir.join("id"),
          secret_access_key_file: dir.join("secret"),
          batch,
        },
      },
    },
    12,
  );
  expect(Object.values(written).every((lines) => lines > 10_000)).toBe(true);
  expect(lostAndRepeated(await readLake(dir.join("lake")), written)).toEqual({ lost: 0, repeated: 0, foreign: 0 });
  expect(lostAndRepeated(await readLake(dir.join("s3", "logs")), written)).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 240_000);

test("kills on both sides of HTTP: the second logferry stores every record once", async () => {
  await using dir = await scratch();
  await mkdir(dir.join("central"));
  await writeFile(dir.join("token"), "a-token");
  const port = await freePort();
  const centralConfig = await writeConfig(dir.join("central"), {
    sources: { ingest: { type: "http", listen: `127.0.0.1:${port}`, bearer_token_file: dir.join("token") } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const centralSocket = dir.join("central", "control.sock");
  let over = false;
  const central = (async () => {
    while (!over) {
      await using running = startLogferry(centralConfig, centralSocket);
      await running.ready();
      const end = performance.now() + 700 + Math.random() * 1500;
      await until(() => over || performance.now() > end, "the next kill is due");
      if (!over) await running.stop("SIGKILL");
    }
  })();
  const url = `http://127.0.0.1:${port}/v1/records`;
  const written = await killed(
    dir,
    {
      sources: { app: { type: "file", include: [dir.join("logs", "*.log*")], labels: { env: "edge" } } },
      sinks: {
        central: {
          type: "http",
          url,
          bearer_token_file: dir.join("token"),
          batch: { bytes_max: "256KiB", age_max: "200ms" },
          retry: { min: "50ms", max: "500ms" },
        },
      },
    },
    6,
  );
  over = true;
  await central;
  await using last = startLogferry(centralConfig, centralSocket);
  await last.ready();
  await until(async () => Object.values((await last.status()).sinks).every((sink) => sink.lag_records === 0), "the central has delivered");
  expect(await last.stop()).toBe(0);
  const records = await readLake(dir.join("lake"));
  expect(lostAndRepeated(records, written)).toEqual({ lost: 0, repeated: 0, foreign: 0 });
  expect(records[0]).toMatchObject({ host: "test-host", source: "app", labels: { env: "edge" } });
}, 240_000);
