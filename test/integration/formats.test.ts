/** Formats and events through the real process: a writer goes on, we are killed, and every stack trace arrives once and whole. */
import { expect, test } from "bun:test";
import { appendFile, readFile, writeFile } from "node:fs/promises";
import { readLake } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const time = (n: number): string => new Date(Date.UTC(2026, 10, 23, 1, 0, n)).toISOString();
const event = (n: number): string =>
  [
    `request ${n} failed`,
    `java.lang.IllegalStateException: n=${n}`,
    ...Array.from({ length: n % 7 }, (_, depth) => `\tat a.B.c(B.java:${depth})`),
  ].join("\n");

test("a pod's log with stack traces, killed while it is written: each event once and whole, with its own time", async () => {
  await using dir = await scratch();
  const path = dir.join("pod.log");
  await writeFile(path, "");
  const config = await writeConfig(dir.path, {
    spool: { commit_interval: "20ms" },
    sources: { pod: { type: "file", include: [path], format: "cri", multiline: "java" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { age_max: "1s" } } },
  });
  const count = 300;
  let written = 0;
  const write = async (): Promise<void> => {
    const lines = event(written).split("\n");
    for (const line of lines) {
      // In two parts now and then, and the kernel sees every line by itself.
      const parts = written % 5 === 0 ? [`P ${line.slice(0, 3)}`, `F ${line.slice(3)}`] : [`F ${line}`];
      for (const part of parts) await appendFile(path, `${time(written)} ${written % 3 === 0 ? "stderr" : "stdout"} ${part}\n`);
    }
    written++;
  };
  while (written < count) {
    const running = startLogferry(config, dir.join("control.sock"));
    await running.ready();
    const target = Math.min(count, written + 60);
    while (written < target) await write();
    await until(async () => ((await running.status()).sources["pod"]?.bytes ?? 0) > 0, "it has read some");
    running.kill("SIGKILL");
    await running.exited;
  }
  const { code, stderr } = await logferry(["run", "--once", "--config", config]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const records = (await readLake(dir.join("lake"))) as unknown as { message: string; timestamp: string; stream: string }[];
  const byNumber = records.toSorted((a, b) => Number(/\d+/.exec(a.message)?.[0]) - Number(/\d+/.exec(b.message)?.[0]));
  expect(byNumber.map(({ message }) => message)).toEqual(Array.from({ length: count }, (_, n) => event(n)));
  expect(byNumber[7]).toMatchObject({ timestamp: time(7).replace("Z", "000Z"), stream: "stdout" });
  expect((await readFile(path)).length).toBeGreaterThan(0);
}, 120_000);

test("standard input as logfmt, into the hour that the line says", async () => {
  await using dir = await scratch();
  const config = await writeConfig(dir.path, {
    sources: { in: { type: "stdin", format: "logfmt", timestamp: { format: "%d.%m.%Y %H:%M", key: "at", zone: "Europe/Berlin" } } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), partition: "date=%Y-%m-%d/hour=%H" } },
  });
  const year = new Date().getUTCFullYear() - 1;
  const { code } = await logferry(["run", "--once", "--config", config], { stdin: `at="01.07.${year} 12:30" n=1\nn=2\n` });
  expect(code).toBe(0);
  const [first] = await readLake(dir.join("lake", `date=${year}-07-01`, "hour=10"));
  expect(first).toMatchObject({ timestamp: `${year}-07-01T10:30:00.000000Z`, data: { n: "1" } });
  expect((await readLake(dir.join("lake"))).length).toBe(2);
}, 60_000);
