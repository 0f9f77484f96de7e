/** What keeps logferry from starting: a second instance, mistakes in the configuration. Each is said once, whole, and nothing is touched. */
import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { numbered } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { judge, look, recovered } from "../support/look.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const batch = { bytes_max: "1MiB", age_max: "100ms" };
const none = { lost: 0, repeated: 0, foreign: 0 };

interface Said {
  readonly level: string;
  readonly code: string;
  readonly event: string;
  readonly hint: string;
}

/** The lines of a log that have a code. */
function faultsIn(log: string): Said[] {
  return log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Said)
    .filter(({ code }) => code !== undefined);
}

test("a second instance on the same spool ends with exit code 1 and says so; the first goes on untouched", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const parts = {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  };
  const config = await writeConfig(dir.path, parts);
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  const other = { ...parts, control: { listen: "127.0.0.1:0", socket: dir.join("other.sock") } };
  for (const path of [config, await writeConfig(dir.path, other, "other.json")]) {
    for (const args of [["run"], ["run", "--once"]]) {
      const { code, stderr } = await logferry([...args, "--config", path]);
      const said = faultsIn(stderr);
      expect({ code, codes: said.map((each) => each.code) }).toEqual({ code: 1, codes: ["spool_locked"] });
      expect(said[0]?.event).toContain(dir.join("spool"));
      expect(said[0]?.hint).toContain("stop the other instance");
      judge({ code: said[0]?.code ?? "", message: said[0]?.event ?? "", hint: said[0]?.hint ?? "" });
    }
  }
  await appendFile(dir.join("a.log"), numbered("a", 100, 100));
  await until(async () => (await running.status()).sinks["lake"]?.records === 200, "the first instance goes on");
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 200 })).toEqual(none);
}, 30_000);

test("a second instance on the same control port does not start; with --once it goes on without, and delivers", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  const address = await until(() => /"address":"http:\/\/([\d.:]+)"/.exec(running.stderr())?.[1], "it says where it listens");
  for (const control of [
    { listen: address, socket: dir.join("second.sock") },
    { listen: "127.0.0.1:0", socket },
  ]) {
    const place = control.socket === socket ? socket : address;
    const second = await writeConfig(
      dir.path,
      {
        control,
        spool: { dir: dir.join("spool2") },
        sources: { app: { type: "file", include: [dir.join("a.log")] } },
        sinks: { lake: { type: "directory", dir: dir.join("lake2"), batch } },
      },
      "second.json",
    );
    const service = await logferry(["run", "--config", second]);
    expect({ code: service.code, codes: faultsIn(service.stderr).map(({ code }) => code) }).toEqual({ code: 1, codes: ["control_address_in_use"] });
    const once = await logferry(["run", "--once", "--config", second]);
    expect(once.code).toBe(0);
    for (const [{ stderr }, level] of [
      [service, "error"],
      [once, "warn"],
    ] as const) {
      const [said] = faultsIn(stderr);
      expect(said).toMatchObject({ level, code: "control_address_in_use" });
      expect(said?.event).toContain(place);
      judge({ code: said?.code ?? "", message: said?.event ?? "", hint: said?.hint ?? "" });
    }
  }
  expect(lostAndRepeated(await readLake(dir.join("lake2")), { a: 100 })).toEqual(none);
  expect((await look(socket)).ready).toBe(200);
  expect(await running.stop()).toBe(0);
}, 30_000);

test("an unknown key: where it is, which key is nearest, exit code 2, and nothing is made", async () => {
  await using dir = await scratch();
  const path = dir.join("logferry.yaml");
  await writeFile(
    path,
    `spool: { dir: ${dir.join("spool")} }
sources:
  app: { type: file, include: [${dir.join("a.log")}], discover_intervall: 1s }
sinks:
  lake: { type: directory, dir: ${dir.join("lake")} }
`,
  );
  for (const command of ["check", "run"]) {
    const { code, stdout, stderr } = await logferry([command, "--config", path]);
    const said = command === "check" ? stdout : stderr;
    expect(code).toBe(2);
    expect(said).toContain(`${path}:3:`);
    expect(said).toContain("sources.app.discover_intervall");
    expect(said).toContain("discover_interval");
  }
  expect(await Array.fromAsync(new Bun.Glob("*").scan({ cwd: dir.path, onlyFiles: false, dot: true }))).toEqual(["logferry.yaml"]);
});

test("five mistakes: five messages in one run, each with its line, and exit code 2", async () => {
  await using dir = await scratch();
  const path = dir.join("logferry.yaml");
  await writeFile(
    path,
    `spol: { dir: ${dir.join("spool")} }
drain_timeout: ten seconds
sources:
  app: { type: fiel, include: [/var/log/app.log] }
sinks:
  lake: { type: directory, dir: ${dir.join("lake")}, from: [ap] }
control: { listen: 8470 }
`,
  );
  const expected = [
    [1, "spol", "config_unknown_key", "did you mean `spool`?"],
    [2, "drain_timeout", "config_value", "30s"],
    [4, "sources.app.type", "config_unknown_type", "did you mean `file`?"],
    [6, "sinks.lake.from[0]", "config_unknown_source", "did you mean `app`?"],
    [7, "control.listen", "config_value", "127.0.0.1:8470"],
  ] as const;
  const checked = await logferry(["check", "--json", "--config", path]);
  const mistakes = JSON.parse(checked.stdout) as { line: number; path: string; code: string; message: string; hint: string }[];
  expect(checked.code).toBe(2);
  expect(mistakes.map((each) => [each.line, each.path, each.code])).toEqual(expected.map(([line, key, code]) => [line, key, code]));
  for (const args of [["check"], ["run"], ["run", "--once"]]) {
    const { code, stdout, stderr } = await logferry([...args, "--config", path]);
    const said = args[0] === "check" ? stdout : stderr;
    expect(code).toBe(2);
    const rows = said.split("\n").filter((row) => row.startsWith(`${path}:`));
    expect(rows.length).toBe(5);
    for (const [index, [line, key, , word]] of expected.entries()) {
      expect(rows[index]).toStartWith(`${path}:${line}: ${key}: `);
      expect(rows[index]).toContain(word);
    }
    expect(said).toContain("5 mistakes");
  }
});
