/** Files that are not UTF-8, NUL runs and byte order marks, through the reader and the encoder. */
import { describe, expect, test } from "bun:test";
import { appendFileSync, closeSync, openSync, renameSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import * as v from "valibot";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { RecordSpool } from "../../../test/conformance/records.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import type { LineKeys } from "../../core/format.ts";
import { readBytes } from "../../core/limits.ts";
import { schema } from "./config.ts";
import { file } from "./source.ts";

/** Every line is an event of its own, and the pipeline says how far positions reach. */
const events = { multiline: { start: "^", timeout: "10s" } };
const configOf = (path: string, more: Record<string, unknown>) => ({ type: "file", include: [path], discover_interval: "20ms", ...more });
const spoolOf = (config: Record<string, unknown>, before?: RecordSpool): RecordSpool =>
  new RecordSpool(v.parse(schema, config) as LineKeys & { line_bytes_max: number }, before);

function encoded(text: string, encoding: string): Buffer {
  if (encoding === "utf-16le") return Buffer.from(text, "utf16le");
  if (encoding === "utf-16be") return Buffer.from(text, "utf16le").swap16();
  const done = Bun.spawnSync(["iconv", "-f", "UTF-8", "-t", encoding], { stdin: Buffer.from(text) });
  expect(done.exitCode).toBe(0);
  return Buffer.from(done.stdout);
}

/** Ċ and 上 have the byte of a line end in UTF-16, 表 and ソ that of a backslash in Shift-JIS. */
const lines = ["plain", "表ソ能上 日本", "", "上上上上", 'quoted "\\" 表', "x".repeat(300), "日".repeat(100), "last"];
const text = Array.from({ length: 40 }, (_, n) => lines.map((line) => `${n} ${line}`)).flat();

describe.each(["utf-16le", "utf-16be", "shift_jis", "euc-jp", "gb18030"])("%s", (encoding) => {
  test("in pieces of any length, killed again and again: every line once, at its offset", async () => {
    await using dir = await scratch();
    const path = dir.join("app.log");
    const config = configOf(path, { encoding, ...events });
    const bytes = encoded(text.map((line, n) => `${line}${n % 3 === 0 ? "\r\n" : "\n"}`).join(""), encoding);
    writeFileSync(path, "");
    let spool = spoolOf(config);
    for (let at = 0, round = 0; at < bytes.length; round++) {
      const running = await startSource(file, config, spool);
      for (let part = 0; part < 3; part++) {
        const length = 1 + ((round * 7919 + part * 104_729) % 3001);
        appendFileSync(path, bytes.subarray(at, at + length));
        at += length;
        await Bun.sleep(15);
      }
      await running[round % 2 === 0 ? "kill" : "stop"]();
      spool = spoolOf(config, spool);
    }
    const last = await startSource(file, config, spool, { once: true });
    await last.done;
    await last.stop();
    expect(spool.messages).toEqual(text);
    expect(spool.counts.every(({ invalidUtf8 }) => invalidUtf8 === 0)).toBe(true);
    for (const { message, offset } of spool.records) {
      const own = encoded(String(message), encoding);
      expect(bytes.subarray(Number(offset), Number(offset) + own.length).equals(own)).toBe(true);
    }
  }, 60_000);
});

describe.each([
  ["utf-16le", 0xff],
  ["utf-16be", 0xfe],
] as const)("utf-16 that says it is %s", (encoding, mark) => {
  test("the mark is dropped, also when we begin in the middle; half a character at the end is said", async () => {
    await using dir = await scratch();
    const path = dir.join("app.log");
    const config = configOf(path, { encoding: "utf-16", partial_line_after: "100ms", ...events });
    const first = Buffer.concat([Buffer.of(mark, mark ^ 1), encoded("上 one\n\ufefftwo\n", encoding)]);
    writeFileSync(path, first.subarray(0, 1));
    let spool = spoolOf(config);
    const running = await startSource(file, config, spool);
    await Bun.sleep(150);
    appendFileSync(path, first.subarray(1));
    await until(() => spool.records.length >= 1, "the first line");
    await running.kill();
    spool = spoolOf(config, spool);
    appendFileSync(path, Buffer.concat([encoded("上\nthree", encoding), Buffer.of(0xd8)]));
    await using again = await startSource(file, config, spool);
    await until(() => spool.records.length >= 2, "it goes on");
    renameSync(path, `${path}.1`);
    await until(() => spool.records.length === 4, "the last line without its end");
    await again.stop();
    expect(spool.messages).toEqual(["上 one", "\ufefftwo", "上", "three\ufffd"]);
    expect(spool.records[0]?.["offset"]).toBe(2);
    expect(spool.counts.reduce((sum, { invalidUtf8 }) => sum + invalidUtf8, 0)).toBe(1);
  });
});

test("line_bytes_max counts bytes of the file; what is cut ends with a whole character, what follows is whole", async () => {
  await using dir = await scratch();
  const long = "日".repeat(readBytes);
  for (const [encoding, kept] of [
    ["utf-16le", 25_000],
    ["shift_jis", 25_000],
    ["gb18030", 25_000],
  ] as const) {
    // prettier-ignore
    for (const [name, line] of [["short", "日".repeat(60_000)], ["long", long]] as const) { // prettier-ignore
      const path = dir.join(`${encoding}-${name}.log`);
      const config = configOf(path, { encoding, line_bytes_max: 50_001, ...events });
      writeFileSync(path, encoded(`first\n${line}\n${"本".repeat(20_000)}\r\nlast\n`, encoding));
      const spool = spoolOf(config);
      const running = await startSource(file, config, spool, { once: true });
      await running.done;
      await running.stop();
      expect(spool.messages).toEqual(["first", "日".repeat(kept), "本".repeat(20_000), "last"]);
      expect(spool.records.map(({ truncated }) => truncated)).toEqual([undefined, true, undefined, undefined]);
    }
  }
}, 30_000);

test("start: end begins behind the last whole line end of UTF-16", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  const config = configOf(path, { encoding: "utf-16be", start: "end", ...events });
  writeFileSync(path, encoded("one\n上", "utf-16be"));
  const spool = spoolOf(config);
  await using running = await startSource(file, config, spool);
  await until(() => spool.positions.size === 2, "the place is committed");
  appendFileSync(path, encoded("上\nnext\nlast\n", "utf-16be"));
  await until(() => spool.records.length === 2, "what is new");
  await running.stop();
  expect(spool.messages.slice(0, 2)).toEqual(["上上", "next"]);
});

test("a writer keeps its place when its file is truncated: NULs of any length go, every line is whole", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  writeFileSync(path, "");
  const spool = new MemorySpool();
  await using running = await startSource(file, configOf(path, {}), spool);
  const fd = openSync(path, "r+");
  let at = 0;
  const write = (line: string): void => {
    at += writeSync(fd, `${line}\n`, at);
  };
  write("before");
  await until(() => spool.lines.length === 1, "the first line");
  truncateSync(path);
  write("short run");
  await until(() => spool.lines.length === 2, "behind a short run");
  truncateSync(path);
  at += 100 * 2 ** 20 + 5;
  write("long run");
  write("behind it");
  await until(() => spool.lines.length === 4, "behind a hundred megabytes that take no space");
  closeSync(fd);
  expect(spool.texts.map((line) => line.replaceAll("\0", ""))).toEqual(["before", "short run", "long run", "behind it"]);
  expect(spool.lines[2]).toMatchObject({ text: "long run", offset: 100 * 2 ** 20 + 5 + "before\nshort run\n".length });
  expect(running.board.counts()["file_nuls_skipped"]).toBe(1);
  expect(spool.bytesInFlightMax).toBeLessThan(2 ** 20);
}, 30_000);

test("a file of a fixed size: its NULs are written over, and read then", async () => {
  await using dir = await scratch();
  const path = dir.join("app.log");
  writeFileSync(path, new Uint8Array(4 * readBytes));
  const spool = new MemorySpool();
  await using running = await startSource(file, configOf(path, {}), spool);
  const fd = openSync(path, "r+");
  await Bun.sleep(200);
  writeSync(fd, "one\ntwo\n", 0);
  await until(() => spool.lines.length === 2, "both lines");
  await Bun.sleep(200);
  writeSync(fd, "three\n", 8);
  await until(() => spool.lines.length === 3, "the third");
  closeSync(fd);
  expect(spool.texts).toEqual(["one", "two", "three"]);
  expect(running.board.counts()["file_nuls_skipped"]).toBeUndefined();
});
