/** Lost journals under the real executable: of a bucket, of another logferry, of a receiver that cannot tell, and of the spool's memory too. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, mkdir, rm, writeFile } from "node:fs/promises";
import { startForeign } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { freePort } from "../support/port.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw, type Versitygw } from "../support/versitygw.ts";

const lines = 3000;
const batch = { bytes_max: "8KiB", age_max: "50ms" };
const none = { lost: 0, repeated: 0, foreign: 0 };
const text = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `w=app n=${from + i} ${crypto.randomUUID()}\n`).join("");

let s3dir: Scratch;
let s3: Versitygw;
beforeAll(async () => {
  s3dir = await scratch();
  s3 = await startVersitygw(s3dir.join("s3"));
  await makeBucket(s3dir.join("s3"), "logs");
  await writeFile(s3dir.join("id"), s3.accessKey);
  await writeFile(s3dir.join("secret"), s3.secretKey);
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  await s3dir[Symbol.asyncDispose]();
});

const bucketSink = (prefix: string): object => ({
  type: "s3",
  bucket: "logs",
  prefix,
  partition: "source={source}/env={labels.env}/hour=%H",
  endpoint: s3.endpoint,
  path_style: true,
  access_key_id_file: s3dir.join("id"),
  secret_access_key_file: s3dir.join("secret"),
  batch,
});

/** Two files of two labels, so that the bucket has several partitions over the same sequences. */
const sources = (dir: Scratch): Record<string, unknown> => ({
  app: { type: "file", include: [dir.join("app.log")], labels: { env: "prod" } },
  other: { type: "file", include: [dir.join("other.log")], labels: { env: "test" } },
});

const other = (from: number, to: number): string => text(from, to).replaceAll("w=app", "w=other");

test("a bucket: killed at random, its journal and the memory of it lost, every record is there once", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("app.log"), "");
  await writeFile(dir.join("other.log"), "");
  // A second sink that is away keeps delivered records in the spool.
  const away = { type: "http", url: "http://127.0.0.1:9/v1/records", retry: { min: "50ms", max: "100ms" } };
  const config = await writeConfig(dir.path, { sources: sources(dir), sinks: { bucket: bucketSink("rebuilt/"), away } });
  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    await using running = startLogferry(config, dir.join("control.sock"));
    await running.ready();
    const before = (await running.status()).sinks["bucket"]?.batches ?? 0;
    await appendFile(dir.join("app.log"), text(round * lines, (round + 1) * lines));
    await appendFile(dir.join("other.log"), other(round * lines, (round + 1) * lines));
    await until(async () => ((await running.status()).sinks["bucket"]?.batches ?? 0) > before, "it delivers");
    await Bun.sleep(Math.random() * 150); // any moment of the delivery
    await running.stop("SIGKILL");
    await rm(dir.join("spool", "sinks", "bucket.journal"));
    // Without this the spool does not even know that the sink had one.
    if (round % 2 === 1) await rm(dir.join("spool", "spool.json"));
  }
  await using last = startLogferry(config, dir.join("control.sock"));
  await last.ready();
  const total = 2 * rounds * lines;
  await until(async () => (await last.status()).sinks["bucket"]?.delivered_sequence === total - 1, "the bucket has all");
  expect((await last.status()).faults).toMatchObject({ journal_rebuilt: 1 });
  const written = { app: rounds * lines, other: rounds * lines };
  expect(lostAndRepeated(await readLake(s3dir.join("s3", "logs", "rebuilt")), written)).toEqual(none);
}, 240_000);

test("another logferry: it is asked what it has taken, and nothing comes twice", async () => {
  await using dir = await scratch();
  await mkdir(dir.join("central"));
  const port = await freePort();
  const central = await writeConfig(dir.join("central"), {
    sources: { ingest: { type: "http", listen: `127.0.0.1:${port}` } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  await using receiving = startLogferry(central, dir.join("central", "control.sock"));
  await receiving.ready();
  await writeFile(dir.join("app.log"), "");
  await writeFile(dir.join("other.log"), "");
  const wire = { type: "http", from: ["app"], url: `http://127.0.0.1:${port}/v1/records`, batch };
  const config = await writeConfig(dir.path, { spool: { retain: "1h" }, sources: sources(dir), sinks: { wire } });
  const rounds = 4;
  for (let round = 0; round < rounds; round++) {
    await using running = startLogferry(config, dir.join("control.sock"));
    await running.ready();
    const before = (await running.status()).sinks["wire"]?.batches ?? 0;
    await appendFile(dir.join("app.log"), text(round * lines, (round + 1) * lines));
    await appendFile(dir.join("other.log"), other(round * lines, (round + 1) * lines));
    await until(async () => ((await running.status()).sinks["wire"]?.batches ?? 0) > before, "it delivers");
    await Bun.sleep(Math.random() * 100);
    await running.stop("SIGKILL");
    await rm(dir.join("spool", "sinks", "wire.journal"));
  }
  await using last = startLogferry(config, dir.join("control.sock"));
  await last.ready();
  await until(async () => {
    const { sources: read, sinks } = await last.status();
    return read["app"]?.lag_bytes === 0 && sinks["wire"]?.lag_records === 0;
  }, "all is sent");
  const { faults } = await last.status();
  expect({ rebuilt: faults["journal_rebuilt"], unsure: faults["delivery_unsure"] }).toEqual({ rebuilt: 1, unsure: undefined });
  expect(await last.stop()).toBe(0);
  expect(await receiving.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { app: rounds * lines })).toEqual(none);
}, 240_000);

test("a receiver that cannot tell: all that is held is shipped again, and said by the record", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  await writeFile(dir.join("app.log"), text(0, 100));
  const config = await writeConfig(dir.path, {
    spool: { retain: "1h" },
    sources: { app: { type: "file", include: [dir.join("app.log")] } },
    sinks: { wire: { type: "http", url: foreign.url, batch } },
  });
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  await rm(dir.join("spool", "sinks", "wire.journal"));
  await using running = startLogferry(config, dir.join("control.sock"));
  await running.ready();
  await until(async () => (await running.status()).sinks["wire"]?.delivered_sequence === 99, "all is sent again");
  const { faults } = await running.status();
  expect(faults).toMatchObject({ journal_rebuilt: 1, delivery_unsure: 100 });
  expect(lostAndRepeated(foreign.records, { app: 100 })).toEqual({ lost: 0, repeated: 100, foreign: 0 });
}, 120_000);
