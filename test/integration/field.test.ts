/**
 * What takes records from users of other collectors, done to this one: the rows of the comparison, each a test of its name
 * against the real executable. Rows that another file covers are named there: the last test holds that none is missing.
 */
import { expect, test } from "bun:test";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { blocks, flip } from "../corrupt/damaged.ts";
import { logferryCollector } from "../rotate/collector.ts";
import { rotate } from "../rotate/harness.ts";
import { numbered, startForeign } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { executable, logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { startProcess } from "../support/process.ts";
import { freePort } from "../support/port.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const none = { lost: 0, repeated: 0, foreign: 0 };
const batch = { bytes_max: "256KiB", age_max: "100ms" };
const retry = { min: "50ms", max: "200ms" };
const support = join(import.meta.dir, "..", "support");

test("kill -9: what was acknowledged is there once, whatever was under way", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("token"), "t");
  const port = await freePort();
  const config = await writeConfig(dir.path, {
    sources: { ingest: { type: "http", listen: `127.0.0.1:${port}`, bearer_token_file: dir.join("token") } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { bytes_max: "4KiB", age_max: "20ms" } } },
    spool: { commit_interval: "10ms" },
  });
  const socket = dir.join("control.sock");
  const acknowledged = new Set<number>();
  let posted = 0;
  const post = async (): Promise<void> => {
    const n = posted++;
    const headers = { authorization: "Bearer t", "content-type": "text/plain" };
    const answer = await fetch(`http://127.0.0.1:${port}/v1/records`, { method: "POST", headers, body: `w=post n=${n} ` });
    if (answer.status === 204) acknowledged.add(n);
  };
  for (let kill = 0; kill < 6; kill++) {
    await using running = startLogferry(config, socket);
    await running.ready();
    const due = acknowledged.size + 20 + Math.floor(Math.random() * 200);
    // Sixteen at a time, so that there is always one under way when the kill comes: right after an answer.
    const posting = Array.from({ length: 16 }, async () => {
      while (acknowledged.size < due) await post();
      running.kill("SIGKILL");
    });
    await Promise.allSettled(posting);
    await running.exited;
  }
  await using last = startLogferry(config, socket);
  await last.ready();
  expect(await last.stop()).toBe(0);
  const arrived = (await readLake(dir.join("lake"))).map(({ message = "" }) => Number(/^w=post n=(\d+) $/.exec(message)?.[1]));
  const times = new Map<number, number>();
  for (const n of arrived) times.set(n, (times.get(n) ?? 0) + 1);
  expect([...acknowledged].filter((n) => times.get(n) !== 1)).toEqual([]);
  // Nobody knows of those that were cut: there once, or not at all.
  expect([...times].filter(([n, count]) => count !== 1 || n >= posted)).toEqual([]);
  expect(acknowledged.size).toBeGreaterThan(120);
}, 60_000);

test("one bad byte in the buffer: one frame is lost, said, and its bytes kept aside; all else arrives once", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  const config = await writeConfig(dir.path, {
    drain_timeout: "100ms",
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url: foreign.url, batch, retry } },
  });
  const socket = dir.join("control.sock");
  const perFrame = 50;
  {
    await using running = startLogferry(config, socket);
    await running.ready();
    for (let frame = 0; frame < 6; frame++) {
      await appendFile(dir.join("a.log"), numbered("a", frame * perFrame, perFrame));
      await until(async () => (await running.status()).spool.last_sequence === (frame + 1) * perFrame - 1, "the frame is durable");
    }
    expect(await running.stop()).toBe(3);
  }
  const segment = dir.join("spool", "segments", "0000000000000001.zst");
  const { payloads, frames } = await blocks(segment);
  expect(payloads.length).toBe(6);
  const [at = 0, following = 0] = [payloads[2], frames[3]];
  await flip(segment, at + 40);
  const damaged = (await readFile(segment)).subarray(at);
  const verified = await logferry(["spool", "verify", "--dir", dir.join("spool")]);
  expect({ code: verified.code, named: verified.stdout.includes(`0000000000000001.zst: byte ${at}`) }).toEqual({ code: 1, named: true });

  foreign.answer = () => new Response(null, { status: 204 });
  await appendFile(dir.join("a.log"), numbered("a", 6 * perFrame, perFrame));
  await using running = startLogferry(config, socket);
  await running.ready();
  await until(async () => (await running.status()).sinks["central"]?.delivered_sequence === 7 * perFrame - 1, "all that is left is delivered");
  const seen = await standing(socket, "spool", "spool_frame_corrupt", "degraded", ["/quarantine "]);
  expect(seen.status.faults).toMatchObject({ spool_frame_corrupt: 1, spool_records_lost: perFrame });
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 7 * perFrame })).toEqual({ lost: perFrame, repeated: 0, foreign: 0 });
  const arrived = new Set(foreign.records.map(({ message = "" }) => Number(/ n=(\d+) /.exec(message)?.[1])));
  expect(Array.from({ length: perFrame }, (_, i) => 2 * perFrame + i).filter((n) => arrived.has(n))).toEqual([]);
  const kept = dir.join("spool", "quarantine", `0000000000000001-${at}.bin`);
  const bytes = await readFile(kept);
  expect(bytes.byteLength).toBeLessThan(following - at);
  expect(bytes.equals(damaged.subarray(0, bytes.byteLength))).toBe(true);
}, 60_000);

test("sink answers 403: kept until it succeeds, though later batches are taken and the process is killed meanwhile", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  let refused: string | undefined;
  foreign.answer = (request) => {
    const key = request.headers.get("idempotency-key") ?? "";
    refused ??= key;
    return key === refused ? new Response("no", { status: 403 }) : new Response(null, { status: 204 });
  };
  await writeFile(dir.join("a.log"), numbered("a", 0, 500));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url: foreign.url, batch, retry, concurrency: 3 } },
  });
  const socket = dir.join("control.sock");
  for (const [life, from] of [500, 1000].entries()) {
    await using running = startLogferry(config, socket);
    await running.ready();
    if (life === 0) await standing(socket, "sinks.central", "http_unauthorized", "failing", ["403", "bearer_token_file"]);
    await appendFile(dir.join("a.log"), numbered("a", from, 500));
    const due = from;
    await until(
      async () => foreign.records.length === due && (await running.status()).sinks["central"]?.lag_records === 500,
      "all but the refused batch is there",
    );
    const { status } = await standing(socket, "sinks.central", "http_unauthorized", "failing", [foreign.url]);
    expect(status.sinks["central"]).toMatchObject({ state: "denied", delivered_sequence: -1 });
    await running.stop("SIGKILL");
  }
  expect(foreign.records.length).toBe(1000);
  await using running = startLogferry(config, socket);
  await running.ready();
  await standing(socket, "sinks.central", "http_unauthorized", "failing", []);
  refused = "none";
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 1500 })).toEqual(none);
}, 60_000);

test("receiver answers 403 for 10 s (here 3) while two files grow: nothing lost, nothing twice", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  await mkdir(dir.join("logs"));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("logs", "*.log*")] } },
    sinks: { central: { type: "http", url: foreign.url, batch, retry } },
  });
  const socket = dir.join("control.sock");
  await using writing = startProcess([process.execPath, join(support, "writer.ts"), dir.join("logs"), "3600", "2500", "4000", "a", "b"]);
  await using running = startLogferry(config, socket);
  await running.ready();
  await until(() => foreign.records.length > 2000, "it delivers");
  foreign.answer = () => new Response("no", { status: 403 });
  const sinceMs = performance.now();
  const asked = foreign.requests.length;
  await standing(socket, "sinks.central", "http_unauthorized", "failing", ["403"]);
  await until(() => performance.now() - sinceMs > 3000, "three seconds have passed");
  expect(foreign.requests.length).toBeGreaterThan(asked + 5);
  expect((await look(socket)).status.sinks["central"]?.lag_records).toBeGreaterThan(1000);
  foreign.answer = () => new Response(null, { status: 204 });
  await until(() => foreign.records.length > 15_000, "it delivers again");
  await writing.stop();
  const written = JSON.parse(writing.stdout()) as Record<string, number>;
  await until(() => foreign.records.length >= Object.values(written).reduce((sum, lines) => sum + lines, 0), "every line has arrived");
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, written)).toEqual(none);
}, 60_000);

test("six rotation styles for a minute (here 8 s): nothing lost, nothing twice", async () => {
  await using dir = await scratch();
  const result = await rotate({
    dir: dir.path,
    collector: (setup) => logferryCollector(executable, setup),
    seconds: 8,
    linesPerSecond: 3600,
    rotateEvery: 900,
    killSeconds: 60,
    keepSeconds: 30,
    discover: "500ms",
    quietSeconds: 20,
  });
  const { lost, repeated, foreign, broken, examples } = result;
  expect({ lost, repeated, foreign, broken, examples }).toEqual({ lost: 0, repeated: 0, foreign: 0, broken: [], examples: [] });
  expect({ styles: Object.keys(result.styles).length, enough: result.lines > 20_000 }).toEqual({ styles: 6, enough: true });
}, 60_000);

test("every row of the comparison has a test of its name", async () => {
  const rows = ["kill -9", "power cut", "disk full", "one bad byte in the buffer", "buffer full", "sink answers 403"];
  const runs = ["12 × kill -9 while two files rotate by rename", "six rotation styles for a minute", "receiver answers 403 for 10 s"];
  const names: string[] = [];
  for (const folder of [import.meta.dir, join(import.meta.dir, "..", "power")])
    for (const file of (await readdir(folder)).filter((name) => name.endsWith(".test.ts")))
      for (const [, name = ""] of (await readFile(join(folder, file), "utf8")).matchAll(/\btest\(\s*"([^"]+)"/g)) names.push(name);
  expect([...rows, ...runs].filter((row) => !names.some((name) => name.startsWith(`${row}:`) || name.startsWith(`${row} `)))).toEqual([]);
});
