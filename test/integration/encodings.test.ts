/** Files in other encodings through the real executable, plain and compressed. */
import { expect, test } from "bun:test";
import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { readLake } from "../support/lake.ts";
import { executable, startLogferry, writeConfig } from "../support/logferry.ts";
import { runProcess } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const encodings = ["utf-16", "utf-16be", "shift_jis", "euc-jp", "gb18030", "windows-1251", "koi8-r"];
const texts = (encoding: string): string[] =>
  /1251|koi/.test(encoding) ? ["ошибка", "ещё \"одна\" \\ строка", "ok"] : ["日本語 表ソ能", '上 "上" \\', "ok"]; // prettier-ignore

const lines = (name: string, encoding: string): string[] =>
  Array.from({ length: 300 }, (_, n) => texts(encoding).map((line) => `${n} ${name} ${line}`)).flat();

test("each encoding in its files, plain and compressed, killed in between: every line as it was meant, at its offset", async () => {
  await using dir = await scratch();
  const logs = dir.join("logs");
  await mkdir(logs);
  const whole = new Map<string, Buffer>();
  const sources: Record<string, object> = {};
  for (const encoding of encodings) {
    for (const name of [`${encoding}.log`, `${encoding}.log.9.gz`]) {
      await writeFile(dir.join("text"), lines(name, encoding).map((line) => `${line}\n`).join("")); // prettier-ignore
      // iconv writes UTF-16 with a byte order mark.
      const made = Bun.spawnSync(["iconv", "-f", "UTF-8", "-t", encoding.toUpperCase(), dir.join("text")]);
      expect(made.exitCode).toBe(0);
      const bytes = Buffer.from(made.stdout);
      whole.set(name, bytes);
      await writeFile(`${logs}/${name}`, name.endsWith(".gz") ? gzipSync(bytes) : bytes.subarray(0, 2001));
    }
    sources[encoding] = { type: "file", include: [`${logs}/${encoding}.log*`], encoding, discover_interval: "100ms" };
  }
  const config = await writeConfig(dir.path, {
    sources,
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { bytes_max: "1MiB", age_max: "100ms" } } },
  });
  const socket = dir.join("control.sock");
  for (const [from, to] of [
    [2001, 4002],
    [4002, undefined],
  ] as const) {
    // prettier-ignore
    await using running = startLogferry(config, socket);
    await running.ready();
    await until(async () => (await running.status()).spool.last_sequence > 100, "it reads");
    for (const encoding of encodings) await appendFile(`${logs}/${encoding}.log`, whole.get(`${encoding}.log`)?.subarray(from, to) ?? "");
    await Bun.sleep(100);
    await running.stop("SIGKILL");
  }
  await using last = startLogferry(config, socket);
  const records = encodings.length * 2 * 900;
  await until(async () => (await last.status()).sinks["lake"]?.delivered_sequence === records - 1, "all is delivered");
  expect(await last.stop()).toBe(0);
  const found = await readLake(dir.join("lake"));
  for (const encoding of encodings) {
    for (const name of [`${encoding}.log`, `${encoding}.log.9.gz`]) {
      const expected = lines(name, encoding);
      const own = found.filter(({ file }) => file === `${logs}/${name}`).toSorted((a, b) => Number(a.offset) - Number(b.offset));
      expect(own.map(({ message }) => message)).toEqual(expected);
      const at = Number(own[400]?.offset);
      const decoder = new TextDecoder(encoding as "utf-16le");
      expect(decoder.decode(whole.get(name)?.subarray(at, at + 8))[0]).toBe(expected[400]?.[0] ?? "");
    }
  }
}, 60_000);

test("a label that nobody knows is a mistake of the configuration", async () => {
  await using dir = await scratch();
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")], encoding: "utf-7" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake") } },
  });
  const { code, stdout, stderr } = await runProcess([executable, "check", "--offline", "--config", config]);
  expect(code).toBe(2);
  expect(stdout + stderr).toContain("must be an encoding that WHATWG names");
});
