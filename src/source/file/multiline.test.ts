/** Events of several lines through restarts: each once and whole, wherever we were stopped or killed. */
import { expect, test } from "bun:test";
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import { RecordSpool } from "../../../test/conformance/records.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { Fault } from "../../core/fault.ts";
import type { LineKeys } from "../../core/format.ts";
import { schema } from "./config.ts";
import { file } from "./source.ts";

const java = { format: "plain", multiline: { preset: "java", timeout: "10s" } };
const configOf = (path: string, more: Record<string, unknown>) => ({ type: "file", include: [path], discover_interval: "20ms", ...more });
const spoolOf = (config: Record<string, unknown>, before?: RecordSpool): RecordSpool => new RecordSpool(v.parse(schema, config) as LineKeys, before);

const events = Array.from({ length: 6 }, (_, n) =>
  [
    `2026-11-23 01:30:2${n} ERROR request ${n} failed`,
    `java.lang.IllegalStateException: number ${n}`,
    ...Array.from({ length: n }, (__, depth) => `\tat com.example.Service.call(Service.java:${depth})`),
    "Caused by: java.io.IOException: broken pipe",
    `\t... ${n} more`,
  ].join("\n"),
);
const lines = events.flatMap((event) => event.split("\n"));

test("killed or stopped after every line of a file of stack traces: each is there once and whole", async () => {
  await using dir = await scratch();
  for (const way of ["kill", "stop"] as const) {
    const path = dir.join(`${way}.log`);
    const config = configOf(path, java);
    let spool = spoolOf(config);
    writeFileSync(path, "");
    for (const [index, line] of lines.entries()) {
      const emits = spool.emits;
      const running = await startSource(file, config, spool);
      // Byte by byte for some, so that we are also stopped inside a line.
      appendFileSync(path, index % 3 === 0 ? line.slice(0, 5) : `${line}\n`);
      await until(() => index % 3 === 0 || spool.emits > emits, "it is read");
      if (index % 2 === 0) await until(() => spool.bytesInFlight === 0, "it is durable");
      await running[way]();
      spool = spoolOf(config, spool);
      if (index % 3 === 0) appendFileSync(path, `${line.slice(5)}\n`);
    }
    const last = await startSource(file, config, spool, { once: true });
    await last.done;
    expect(spool.messages).toEqual(events);
    expect(spool.broken).toEqual([]);
    await last.stop();
  }
}, 60_000);

test("an event at the end of a file comes when nothing more does", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  const config = configOf(path, { multiline: { preset: "java", timeout: "200ms" } });
  const spool = spoolOf(config);
  writeFileSync(path, `${events[0]}\n${events[1]}\n`);
  await using running = await startSource(file, config, spool);
  await until(() => spool.records.length === 2, "both are there");
  expect(spool.messages).toEqual(events.slice(0, 2));
  await until(() => running.source.status().files?.[0]?.offset === running.source.status().files?.[0]?.size, "the position is at the end");
  appendFileSync(path, `${events[2]}\n`);
  await until(() => spool.records.length === 3, "the next one");
  expect(spool.messages).toEqual(events.slice(0, 3));
});

test("rotated, deleted or cut with an event begun: it ends there, and the next file begins its own", async () => {
  await using dir = await scratch();
  for (const how of ["rename", "delete", "truncate"] as const) {
    const path = dir.join(`${how}.log`);
    const config = configOf(path, java);
    const spool = spoolOf(config);
    writeFileSync(path, `${events[3]}\n`);
    const running = await startSource(file, config, spool);
    await until(() => spool.emits >= 1 && spool.bytesInFlight === 0, "it is read");
    expect(spool.records).toEqual([]);
    if (how === "rename") renameSync(path, `${path}.old`);
    if (how === "delete") rmSync(path);
    if (how === "truncate") truncateSync(path, 0);
    if (how !== "rename") await until(() => spool.records.length === 1, "what was held comes");
    appendFileSync(path, `${events[4]}\nplain line\n`);
    await until(() => spool.messages.includes(events[4]), "the next one");
    await running.stop();
    const rest = spoolOf(config, spool);
    const last = await startSource(file, config, rest, { once: true });
    await last.done;
    await last.stop();
    expect(rest.messages.length).toBe(3);
    expect(new Set(rest.messages)).toEqual(new Set([events[3], events[4], "plain line"]));
  }
}, 60_000);

const time = (n: number): string => `2026-11-23T01:30:20.${String(n).padStart(9, "0")}Z`;

test("two outputs in one file, parts of lines and stack traces between each other, killed after every line", async () => {
  await using dir = await scratch();
  const path = dir.join("pod.log");
  const config = configOf(path, { format: "cri", multiline: { preset: "java", timeout: "30s" } });
  const output = (name: string): string[] =>
    events.slice(0, 4).flatMap((event) => event.split("\n").map((line) => `${name} ${line}`.replace(/^\w+ (?=\t|Caused|java)/, "")));
  const streams = { stdout: output("out"), stderr: output("err") };
  const physical: string[] = [];
  for (let n = 0; streams.stdout.length > 0 || streams.stderr.length > 0; n++) {
    const name = (n * 7) % 5 < 2 ? "stdout" : "stderr";
    const line = streams[name].shift() ?? "";
    if (line === "") continue;
    if (n % 4 === 0) physical.push(`${time(n)} ${name} P ${line.slice(0, 6)}`, `${time(n)} ${name} F ${line.slice(6)}`);
    else physical.push(`${time(n)} ${name} F ${line}`);
  }
  let spool = spoolOf(config);
  writeFileSync(path, "");
  for (const [index, line] of physical.entries()) {
    const emits = spool.emits;
    const running = await startSource(file, config, spool);
    appendFileSync(path, `${line}\n`);
    await until(() => spool.emits > emits, "it is read");
    if (index % 3 !== 0) await until(() => spool.bytesInFlight === 0, "it is durable");
    await running.kill();
    spool = spoolOf(config, spool);
  }
  const last = await startSource(file, config, spool, { once: true });
  await last.done;
  const of = (name: string) => spool.records.filter(({ stream }) => stream === name).map(({ message }) => message);
  const expected = (name: string) => events.slice(0, 4).map((event) => `${name} ${event}`);
  expect(of("stdout")).toEqual(expected("out"));
  expect(of("stderr")).toEqual(expected("err"));
  await last.stop();
}, 60_000);

test("what was refused is read again, the event begun before it included", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  const config = configOf(path, java);
  const spool = spoolOf(config);
  writeFileSync(path, `${events[0]}\n${events[1]?.split("\n")[0]}\n`);
  await using running = await startSource(file, config, spool);
  await until(() => spool.records.length === 1, "the first is there");
  spool.hold();
  appendFileSync(path, `${events[1]?.split("\n").slice(1).join("\n")}\n${events[2]}\n`);
  await until(() => spool.bytesInFlight > 0, "it is read");
  spool.reject(new Fault({ code: "test", retry: "later", message: "refused" }));
  spool.release();
  await until(() => spool.records.length === 2, "the second is there");
  appendFileSync(path, "end\n");
  await until(() => spool.records.length === 3, "the third is there");
  expect(spool.messages).toEqual(events.slice(0, 3));
  await running.stop();
});

test("a writer rotates by rename between events, we are killed thirty times: no event lost, none twice, none torn", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  const config = { type: "file", include: [dir.join("app.log*")], discover_interval: "20ms", multiline: { preset: "java", timeout: "5s" } };
  const event = (n: number): string => `n=${n} failed\n${"\tat com.example.Service.call(Service.java:1)\n".repeat(n % 9)}`.trimEnd();
  let written = 0;
  let generation = 0;
  let open = true;
  const writing = (async () => {
    writeFileSync(path, "");
    while (open) {
      for (let count = 0; count < 7; count++) {
        const text = `${event(written++)}\n`;
        // In two writes, the border anywhere: inside a line, between two lines of an event.
        const cut = (written * 13) % text.length;
        appendFileSync(path, text.slice(0, cut));
        await Bun.sleep(1);
        appendFileSync(path, text.slice(cut));
      }
      if (written % 5 === 0) {
        renameSync(path, `${path}.${++generation}`);
        writeFileSync(path, "");
      }
      await Bun.sleep(5);
    }
  })();
  let spool = spoolOf(config);
  for (let kill = 0; kill < 30; kill++) {
    const before = spool.emits;
    const running = await startSource(file, config, spool);
    await until(() => spool.emits > before + 2, "it reads");
    await Bun.sleep(Math.random() * 60);
    await running[kill % 3 === 0 ? "stop" : "kill"]();
    expect(spool.broken).toEqual([]);
    spool = spoolOf(config, spool);
  }
  open = false;
  await writing;
  const last = await startSource(file, config, spool, { once: true });
  await last.done;
  await last.stop();
  const numberOf = (message: unknown): number => Number(/n=(\d+)/.exec(String(message))?.[1]);
  const arrived = spool.messages.toSorted((a, b) => numberOf(a) - numberOf(b));
  expect(generation).toBeGreaterThan(3);
  expect(arrived).toEqual(Array.from({ length: written }, (_, n) => event(n)));
}, 60_000);
