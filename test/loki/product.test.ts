/** The executable killed while a Loki tail is shipped; and as a new user tries it, with the six lines of the README. */
import { expect, test } from "bun:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startLogferry } from "../support/logferry.ts";
import { startLoki } from "../support/loki/under.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { killRun } from "./kill.ts";

async function ask(sql: string): Promise<unknown> {
  const database = await (await DuckDBInstance.create()).connect();
  return (await database.runAndReadAll(sql)).getRows();
}

test("kills while a Loki tail is shipped: 0 lost, 0 repeated, and DuckDB reads the partitions", async () => {
  await using dir = await scratch();
  const { pushed, records, distinct } = await killRun(dir, { lives: 5, lifeMs: 1200, rate: 2000 });
  expect({ records, distinct }).toEqual({ records: pushed, distinct: pushed });
  const files = `'${dir.join("lake")}/**/*.ndjson.zst', format='newline_delimited', hive_partitioning=true`;
  const rows = await ask(`select count(*)::int, count(distinct pod)::int, min(labels.app) from read_json(${files})`);
  expect(rows).toEqual([[pushed, 10, "web"]]);
}, 240_000);

test("six lines of configuration bring a Loki query into Hive-partitioned files, as docs/loki.md shows them", async () => {
  await using dir = await scratch();
  await using loki = await startLoki();
  const guide = readFileSync(join(import.meta.dir, "../../docs/loki.md"), "utf8");
  const [, example = ""] = /```yaml\n(.*?)```/s.exec(guide) ?? [];
  const [, sql = ""] = /```sql\n(.*?)```/s.exec(guide) ?? [];
  expect(example.trimEnd().split("\n").length).toBe(6);
  const here = example
    .replace("https://loki.example.com", loki.url)
    .replace("/var/lib/logferry", dir.join("spool"))
    .replace("/data/lake", dir.join("lake"));
  const socket = dir.join("spool", "control.sock");
  const path = dir.join("logferry.yaml");
  await Bun.write(path, `${here}control: { listen: "127.0.0.1:0" }\n`);
  const lines = Array.from({ length: 500 }, (_, n) => [`${Date.now()}${String(n).padStart(6, "0")}`, `line ${n}`] as const);
  await loki.push([{ stream: { app: "web", pod: "a" }, values: lines }], "team-a");
  await using running = startLogferry(path, socket);
  await running.ready();
  await until(async () => (await running.status()).sources["seo"]?.records === 500, "all is read");
  expect(await running.stop()).toBe(0);
  const rows = (await ask(sql.replace("/data/lake", dir.join("lake")))) as [unknown, number][];
  expect(rows.reduce((sum, [, count]) => sum + count, 0)).toBe(500);
}, 120_000);
