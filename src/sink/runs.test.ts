/** Values of records one after the other: what is taken over from the record before is what parsing would have given. */
import { expect, test } from "bun:test";
import { Runs } from "./runs.ts";

const line = (record: object | string): Buffer => Buffer.from(`${typeof record === "string" ? record : JSON.stringify(record)}\n`);
/** Not at the beginning of a buffer, with something behind it. */
const valuesOf = (runs: Runs, bytes: Buffer) => runs.valuesOf(Buffer.concat([Buffer.from("}\n"), bytes, Buffer.from('{"')]), 2, 2 + bytes.length);
const record = (more: object = {}): object => ({ timestamp: "2026-11-23T01:30:20.590123Z", host: "h", source: "s", ...more });

/** Each line after each other, compared with what it is alone. */
function expectAsAlone(lines: readonly Buffer[]): void {
  const runs = new Runs();
  for (const first of lines) {
    for (const second of lines) {
      valuesOf(runs, first);
      expect(valuesOf(runs, second)).toEqual(valuesOf(new Runs(), second));
    }
  }
}

test("a record that differs in timestamp, offset and message alone is not parsed again", () => {
  const runs = new Runs();
  const labels = { app: "web", env: "prod" };
  const first = valuesOf(runs, line(record({ file: "/a", offset: 1, labels, message: "one" })));
  const second = valuesOf(runs, line({ ...record({ file: "/a", offset: 12345, labels, message: "two" }), timestamp: "2026-11-23T01:30:21Z" }));
  expect(first).toEqual({ source: "s", host: "h", labels });
  expect(second).toBe(first);
});

test("a record of a stream seen earlier is not parsed again, whatever came between, and with anything behind its labels", () => {
  const runs = new Runs();
  const of = (app: string, more: object) => valuesOf(runs, line(record({ file: "/a", offset: app.length, labels: { app }, ...more })));
  const first = of("web", { message: "one" });
  expect(of("db", { data: { message: "x" } })).toEqual({ source: "s", host: "h", labels: { app: "db" } });
  expect(of("web", { metadata: { message: "x" }, message: "two" })).toBe(first);
});

test("whatever comes after whatever: the values are the record's own", () => {
  expectAsAlone([
    line(record({ message: "m" })),
    line(record({ labels: { app: "a" }, message: "m" })),
    line(record({ labels: { app: "ab" }, message: "m" })),
    line(record({ labels: { message: "x", app: "a" }, message: "m" })),
    line(record({ labels: { message: "x", app: "b" }, message: "m" })),
    line(record({ labels: { 'a,"message":': "x", app: "b" }, message: "m" })),
    line(record({ offset: 1, labels: { app: "a" }, message: "m" })),
    line(record({ offset: 22, labels: { app: "b" }, message: "m" })),
    line(record({ offset: 22, data: { labels: { app: "z" } } })),
    line(record({ data: { host: "x" }, labels: { app: "late" } })),
    line(record({ metadata: { message: "x" }, labels: { app: "late" }, message: "m" })),
    line(record({ metadata: { message: "x" }, labels: { app: "later" }, message: "m" })),
    line(record({ offset: 7, partial: true, truncated: true, labels: { app: "a" }, message: "m" })),
    line(record({ offset: 7, truncated: true, labels: { app: 'a\\"' }, message: "m" })),
    line(record({ offset: 7, labels: {}, message: "m" })),
    line(record({ labels: { app: { deep: "a" } }, message: "m" })),
    line(record({ message: "m", labels: { app: "behind" } })),
    line({ host: "h", timestamp: "t", source: "s", message: "m" }),
    line({ ...record({ message: "m" }), timestamp: '"' }),
    line({ ...record({ message: "m" }), timestamp: '","host":"x"' }),
    line({ message: "nothing of ours" }),
    line("no json at all"),
    line(""),
  ]);
});
