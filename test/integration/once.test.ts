/** `run --once`: everything that is there, once, in order, readable by others. */
import { expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import { lakeObjects, readLake } from "../support/lake.ts";
import { logferry, writeConfig } from "../support/logferry.ts";
import { scratch } from "../support/scratch.ts";

const linesPerFile = [100_000, 60_000, 40_000];

async function filledFolder(dir: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  await mkdir(`${dir}/logs`);
  for (const [i, count] of linesPerFile.entries()) {
    const lines = Array.from({ length: count }, (_, n) => `w=f${i} n=${n} "quoted" \\ back\tslash ünïcödé ${n % 97}\n`);
    const content = Buffer.from(lines.join(""));
    files.set(`${dir}/logs/f${i}.log`, content);
    await writeFile(`${dir}/logs/f${i}.log`, content);
  }
  return files;
}

test("200,000 lines in three files: every line once, in order per file, true offsets, zstd and DuckDB read the tree", async () => {
  await using dir = await scratch();
  const files = await filledFolder(dir.path);
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("logs", "*.log")], labels: { env: "test" } } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), partition: "source={source}/date=%Y-%m-%d/hour=%H", batch: { bytes_max: "1MiB" } } },
  });
  const { code, stderr } = await logferry(["run", "--once", "--config", config]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });

  const records = await readLake(dir.join("lake"));
  expect(records.length).toBe(200_000);
  const next = new Map<string, { line: number; offset: number }>();
  for (const record of records) {
    const { file = "", offset, message } = record;
    const at = next.get(file) ?? { line: 0, offset: 0 };
    const content = files.get(file) as Buffer;
    const end = content.indexOf(10, at.offset);
    expect({ file, offset, message }).toEqual({ file, offset: at.offset, message: content.toString("utf8", at.offset, end) });
    next.set(file, { line: at.line + 1, offset: end + 1 });
  }
  expect([...next.values()].map(({ line }) => line).toSorted((a, b) => b - a)).toEqual(linesPerFile);
  expect(records[0]).toMatchObject({ host: "test-host", source: "app", labels: { env: "test" } });

  const connection = await (await DuckDBInstance.create()).connect();
  const sql = `select count(*)::int as n, count(distinct file)::int as files, count(distinct "date")::int as dates, min(hour)::int as hour
    from read_json('${dir.join("lake")}/**/*.ndjson.zst', format = 'newline_delimited', hive_partitioning = true) where source = 'app'`;
  const [row] = (await connection.runAndReadAll(sql)).getRowObjects();
  expect(row).toMatchObject({ n: 200_000, files: 3 });
  connection.closeSync();

  const again = await logferry(["run", "--once", "--config", config]);
  expect(again.code).toBe(0);
  expect((await readLake(dir.join("lake"))).length).toBe(200_000);
}, 120_000);

test("object names say host, spool, epoch and sequences, and nothing else lies in the folder", async () => {
  await using dir = await scratch();
  await filledFolder(dir.path);
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("logs", "f2.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), prefix: "raw/", codec: "gzip" } },
  });
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  const objects = await lakeObjects(dir.join("lake"));
  const name = /^raw\/date=\d{4}-\d\d-\d\d\/hour=\d\d\/test-host-[0-9a-f]{16}-[0-9a-f]{8}-\d{20}-\d{20}\.ndjson\.gz$/;
  for (const object of objects) expect(object).toMatch(name);
  const all = await Array.fromAsync(new Bun.Glob("**/*").scan({ cwd: dir.join("lake"), dot: true, onlyFiles: true }));
  expect(all.toSorted()).toEqual(objects);
}, 60_000);

test("standard input to a folder, the last line without its end included", async () => {
  await using dir = await scratch();
  const config = await writeConfig(dir.path, { sources: { in: { type: "stdin" } }, sinks: { lake: { type: "directory", dir: dir.join("lake") } } });
  const { code } = await logferry(["run", "--once", "--config", config], { stdin: "one\r\ntwo\n\nlast" });
  expect(code).toBe(0);
  expect((await readLake(dir.join("lake"))).map(({ message }) => message)).toEqual(["one", "two", "", "last"]);
});
