/** The executable and a Loki that loses, cuts and repeats: killed again and again, it has every entry once, in Hive partitions. */
import { expect, test } from "bun:test";
import { DuckDBInstance } from "@duckdb/node-api";
import { readLake } from "../support/lake.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { serveLoki } from "../support/loki/server.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const kills = 5;

test("kills while a Loki tail is shipped: 0 lost, 0 repeated, and DuckDB reads the partitions", async () => {
  await using dir = await scratch();
  const fake = new FakeLoki();
  Object.assign(fake.faults, { slots: 6, silent: 0.1, replicas: 0.1, broken: 0.05, cut: 0.05 });
  fake.limits.tickMs = 50;
  fake.limits.entries = 500;
  await using server = serveLoki(fake);
  const config = await writeConfig(dir.path, {
    sources: {
      web: { type: "loki", url: server.url, query: '{app="web"}', tenant: "t1", start: "1h", settle: "1s", sweep_interval: "500ms" },
    },
    sinks: {
      lake: { type: "directory", dir: dir.join("lake"), partition: "pod={labels.pod}/date=%Y-%m-%d", batch: { age_max: "200ms" } },
    },
  });
  let pushed = 0;
  let over = false;
  const pushing = (async () => {
    while (!over) {
      const streams = Array.from({ length: 10 }, (_, pod) => ({
        stream: { app: "web", pod: String(pod) },
        values: Array.from({ length: 20 }, (__, n) => [`${Date.now()}${String(n).padStart(6, "0")}`, `n=${pushed++} of many`] as const),
      }));
      fake.push(streams);
      await Bun.sleep(40);
    }
  })();
  const socket = dir.join("control.sock");
  for (let life = 0; life < kills; life++) {
    await using running = startLogferry(config, socket);
    await running.ready();
    const goal = pushed + 4000;
    await until(() => pushed >= goal, "more was pushed");
    await running.stop("SIGKILL");
  }
  over = true;
  await pushing;
  await using last = startLogferry(config, socket);
  await last.ready();
  await until(async () => {
    const { sources, sinks } = await last.status();
    const completeTo = Date.parse(sources["web"]?.complete_to ?? "1970-01-01T00:00:00Z");
    return (
      completeTo > Date.now() - 30_000 &&
      fake.tails.size > 0 &&
      sinks["lake"]?.lag_records === 0 &&
      (await readLake(dir.join("lake"))).length >= pushed
    );
  }, "all has arrived");
  expect(await last.stop()).toBe(0);
  const messages = (await readLake(dir.join("lake"))).map(({ message = "" }) => message);
  expect({ records: messages.length, distinct: new Set(messages).size }).toEqual({ records: pushed, distinct: pushed });
  const database = await (await DuckDBInstance.create()).connect();
  const rows = await database.runAndReadAll(
    `select count(*)::int, count(distinct pod)::int, min(labels.app) from read_json('${dir.join("lake")}/**/*.ndjson.zst', format='newline_delimited', hive_partitioning=true)`,
  );
  expect(rows.getRows()).toEqual([[pushed, 10, "web"]]);
}, 240_000);
