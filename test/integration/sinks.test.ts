/** Several sinks on one spool, the real executable: none waits for another, one that comes late begins where it was told, one that goes keeps its claim. */
import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { readLake } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig, type TestConfig } from "../support/logferry.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const batch = { bytes_max: "256KiB", age_max: "50ms" };
const retry = { min: "50ms", max: "200ms" };
const dead = { type: "http", url: "http://127.0.0.1:9/v1/records", batch, retry };
const lines = (from: number, to: number): string => Array.from({ length: to - from }, (_, n) => `line ${from + n}\n`).join("");

const messages = async (dir: Scratch, lake: string): Promise<string[]> =>
  (await readLake(dir.join(lake))).map(({ message = "" }) => message).toSorted();
const expected = (from: number, to: number): string[] => lines(from, to).trimEnd().split("\n").toSorted();

function config(dir: Scratch, sinks: Record<string, unknown>, spool: Record<string, unknown> = {}): Promise<string> {
  const sources: TestConfig["sources"] = { app: { type: "file", include: [dir.join("app.log")] } };
  return writeConfig(dir.path, { sources, sinks, spool });
}

const folder = (dir: Scratch, name: string, more: object = {}): object => ({ type: "directory", dir: dir.join(name), batch, retry, ...more });

test("a dead sink delays no other; out of the configuration it keeps its claim; forgotten, the spool lets go", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("app.log"), lines(0, 3000));
  const both = await config(dir, { lake: folder(dir, "lake"), gone: dead });
  {
    await using running = startLogferry(both, dir.join("control.sock"));
    await running.ready();
    await until(async () => (await messages(dir, "lake")).length === 3000, "the living sink has everything");
    const { sinks } = await running.status();
    expect(sinks["gone"]).toMatchObject({ records: 0, lag_records: 3000, state: "retrying" });
    expect(sinks["lake"]).toMatchObject({ lag_records: 0, state: "running" });
    const refused = await logferry(["sinks", "forget", "gone", "--config", both]);
    expect(refused.code).toBe(1);
    running.kill("SIGKILL");
    await running.exited;
  }
  const one = await config(dir, { lake: folder(dir, "lake") });
  const held = async (): Promise<number> =>
    (JSON.parse((await logferry(["spool", "ls", "--json", "--config", one])).stdout) as { segments: { records: number }[] }).segments.reduce(
      (sum, { records }) => sum + records,
      0,
    );
  expect((await logferry(["run", "--once", "--config", one])).code).toBe(0);
  expect(await held()).toBe(3000);
  const dry = await logferry(["sinks", "forget", "gone", "--dry-run", "--json", "--config", one]);
  expect(JSON.parse(dry.stdout)).toMatchObject({ sink: "gone", forgotten: false, records: 3000 });
  expect((await logferry(["sinks", "forget", "gone", "--config", one])).stdout).toStartWith("gone is forgotten; given up: 3,000 records");
  expect((await logferry(["run", "--once", "--config", one])).code).toBe(0);
  expect(await held()).toBe(0);
  expect(await messages(dir, "lake")).toEqual(expected(0, 3000));
}, 120_000);

test("a sink that is added begins with the oldest held, or now", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("app.log"), lines(0, 500));
  const spool = { retain: "1h" };
  expect((await logferry(["run", "--once", "--config", await config(dir, { lake: folder(dir, "lake") }, spool)])).code).toBe(0);
  await appendFile(dir.join("app.log"), lines(500, 700));
  const sinks = { lake: folder(dir, "lake"), all: folder(dir, "all"), fresh: folder(dir, "fresh", { start: "now" }) };
  expect((await logferry(["run", "--once", "--config", await config(dir, sinks, spool)])).code).toBe(0);
  expect(await messages(dir, "lake")).toEqual(expected(0, 700));
  expect(await messages(dir, "all")).toEqual(expected(0, 700));
  expect(await messages(dir, "fresh")).toEqual(expected(500, 700));
}, 120_000);

test("buffer full with drop_oldest: it goes on reading, and says in health, status and metrics what is lost of which source", async () => {
  await using dir = await scratch();
  const noise = (n: number): string => `${n} ${Buffer.from(crypto.getRandomValues(new Uint8Array(3000))).toString("base64")}\n`;
  await writeFile(dir.join("app.log"), Array.from({ length: 4000 }, (_, n) => noise(n)).join(""));
  const path = await config(dir, { gone: dead }, { max_bytes: "8MiB", segment_bytes: "1MiB", when_full: "drop_oldest" });
  await using running = startLogferry(path, dir.join("control.sock"));
  await running.ready();
  const status = await until(async () => {
    const seen = await running.status();
    return seen.sources["app"]?.records === 4000 && seen.sources["app"].lag_bytes === 0 ? seen : undefined;
  }, "everything was read");
  const dropped = status.sources["app"]?.dropped_records ?? 0;
  expect(dropped).toBeGreaterThan(500);
  expect(dropped).toBe(status.spool.first_sequence);
  expect(status.spool.bytes).toBeLessThanOrEqual(8 * 2 ** 20);
  const reasons = (await running.health()).reasons.filter(({ component }) => component === "spool");
  expect(reasons.map(({ code }) => code)).toEqual(["spool_dropping"]);
  expect(reasons[0]?.message).toContain("records of app");
  const metrics = await (await fetch("http://localhost/metrics", { unix: dir.join("control.sock") })).text();
  expect(metrics).toContain(`logferry_source_dropped_records_total{source="app"} ${dropped}\n`);
}, 120_000);
