/** Folders that others may write into, against the real executable without root's rights: what it ships, and what it puts on a terminal. */
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { readLake } from "../support/lake.ts";
import { executable, logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { runProcess } from "../support/process.ts";
import { memoryRoot, scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { asPlainUser } from "../support/user.ts";

// eslint-disable-next-line no-control-regex -- what a terminal obeys, the line end apart
const acting = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/;

test("hostile names and rights: the rest is shipped, nothing in a name reaches a terminal as it is", async () => {
  await using dir = await scratch();
  const logs = dir.join("logs");
  mkdirSync(dir.join("logs/closed"), { recursive: true });
  const names = ["esc\u001b[2J\u001b]0;owned\u0007.log", "two\nlines\r.log", "c1\u009b31m.log", "turned\u202egol.log", `${"x".repeat(251)}.log`];
  for (const name of names) writeFileSync(`${logs}/${name}`, `from a strange name\n`);
  writeFileSync(Buffer.from(`${logs}/bad-\xff\xfe.log`, "latin1"), "from a strange name\n");
  writeFileSync(dir.join("logs/closed/a.log"), "from a closed folder\n");
  writeFileSync(dir.join("logs/unreadable\u001b.log"), "not for us\n");
  chmodSync(dir.join("logs/unreadable\u001b.log"), 0);
  chmodSync(dir.join("logs/closed"), 0);
  symlinkSync("/etc/passwd", dir.join("logs/passwd\u001b.log"));
  symlinkSync("/dev/zero", dir.join("logs/zero.log"));
  expect((await runProcess(["mkfifo", dir.join("logs/pipe.log")])).code).toBe(0);

  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [`${logs}/*.log`, `${logs}/*/*.log`], discover_interval: "100ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { age_max: "1s" } } },
  });
  await using running = startLogferry(config, dir.join("control.sock"), [], asPlainUser);
  await running.ready();
  await until(async () => ((await running.status()).sinks["lake"]?.records ?? 0) >= 6, "all that may be read has arrived");
  const { reasons } = await running.health();
  expect(reasons.map(({ code }) => code).toSorted()).toEqual([
    "file_no_match",
    "file_not_regular",
    "file_permission_denied",
    "file_permission_denied",
    "file_symlink_refused",
    "file_symlink_refused",
  ]);
  const shown: Record<string, string> = {};
  const unix = { unix: dir.join("control.sock") };
  for (const path of ["/status?files=all", "/health", "/metrics", "/"]) shown[path] = await (await fetch(`http://localhost${path}`, unix)).text();
  for (const args of [["status"], ["status", "--files", "all"], ["status", "--json", "--files", "all"], ["check"]]) {
    const { stdout, stderr } = await runProcess([...asPlainUser, executable, ...args, "--config", config]);
    shown[args.join(" ")] = stdout + stderr;
  }
  expect(shown["status --files all"]).toContain("esc\\x1b[2J\\x1b]0;owned\\x07.log");
  expect(shown["status"]).toMatch(/logs\/unreadable\\x1b\.log +unreadable +11 B +0 +11 +never\n/);
  expect(shown["status"]).toContain("logs/unreadable\\x1b.log: permission denied (file_permission_denied, for ");
  expect(await running.stop()).toBe(0);
  shown["log"] = running.stderr();
  expect(shown["log"]).toContain("file_permission_denied");
  for (const [where, text] of Object.entries(shown)) expect([where, acting.exec(text)?.[0]]).toEqual([where, undefined]);

  const records = await readLake(dir.join("lake"));
  expect([...new Set(records.map(({ message }) => message))]).toEqual(["from a strange name"]);
  expect(new Set(records.map(({ file }) => file)).size).toBe(6);
  expect(records.some(({ file }) => file === `${logs}/two\nlines\r.log`)).toBe(true);
  chmodSync(dir.join("logs/closed"), 0o755);
}, 60_000);

test("a hundred thousand entries that lead out: nothing of them is read, health, log and memory stay bounded, what is ours goes on", async () => {
  await using dir = await scratch(memoryRoot);
  mkdirSync(dir.join("logs"));
  for (let entry = 0; entry < 100_000; entry++) symlinkSync("/etc/passwd", dir.join("logs", `${entry}.log`));
  writeFileSync(dir.join("logs/ours.log"), "ours 1\n");
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("logs/*.log")] } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { age_max: "1s" } } },
  });
  await using running = startLogferry(config, dir.join("control.sock"));
  await running.ready();
  await until(async () => (await running.status()).sources["app"]?.records === 1, "ours is read");
  const began = performance.now();
  await Bun.write(dir.join("logs/ours.log"), "ours 1\nours 2\n");
  await until(async () => (await running.status()).sources["app"]?.records === 2, "and read on");
  // An open file is asked by its descriptor, whatever else lies beside it.
  expect(performance.now() - began).toBeLessThan(15_000);
  expect((await running.health()).reasons.length).toBeLessThanOrEqual(51);
  const status = (await running.status()).sources["app"];
  expect({ files: status?.files?.length, ...status?.file_states }).toMatchObject({ files: 51, refused: 100_000 });
  const rss = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${running.pid}/status`, "utf8"))?.[1]) * 1024;
  expect(rss).toBeLessThan(300e6);
  expect(await running.stop()).toBe(0);
  expect(running.stderr().split("\n").length).toBeLessThan(100);
  expect((await readLake(dir.join("lake"))).map(({ message }) => message)).toEqual(["ours 1", "ours 2"]);
  const { code, stdout } = await logferry(["check", "--config", config]);
  expect(code).toBe(1);
  expect(stdout.length).toBeLessThan(50_000);
}, 120_000);
