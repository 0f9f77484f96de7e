/** The command line and `run`: which command, which stream, which exit code. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { testIo, type TestIo } from "../../test/support/io.ts";
import { scratch } from "../../test/support/scratch.ts";
import { Fault } from "../core/fault.ts";
import { runProgram } from "./program.ts";
import type { RunAgent } from "./run.ts";

const noAgent: RunAgent = () => Promise.reject(new Error("the agent was started"));

async function call(...argv: string[]): Promise<{ exit: number; out: string; err: string }> {
  const io = testIo();
  const exit = await runProgram(argv, io, noAgent);
  return { exit, out: io.out(), err: io.err() };
}

test("without a command it says what there is, and ends with 2", async () => {
  const { exit, out, err } = await call();
  expect({ exit, out }).toEqual({ exit: 2, out: "" });
  expect(err).toContain("Start here:");
});

test("help is an answer: of the program, of a command, of a command inside one", async () => {
  expect(await call("help")).toMatchObject({ exit: 0, err: "", out: expect.stringContaining("/etc/logferry/logferry.yaml") });
  expect(await call("run", "--help")).toMatchObject({ exit: 0, err: "", out: expect.stringContaining("3 drain cut short") });
  expect(await call("help", "spool", "cat")).toMatchObject({ exit: 0, err: "", out: expect.stringContaining("--from <seq>") });
});

test("an unknown command gets the nearest, one of a later version the truth", async () => {
  expect(await call("statsu")).toEqual({
    exit: 2,
    out: "",
    err: "logferry: unknown command `statsu`\ndid you mean `status`?\nSee `logferry help`.\n",
  });
  expect(await call("spool", "lss")).toMatchObject({ exit: 2, err: expect.stringContaining("did you mean `ls`?") });
  expect(await call("top")).toMatchObject({ exit: 2, err: expect.stringContaining("`top` is not in this version yet") });
  expect(await call("help", "doctor")).toMatchObject({ exit: 2, err: expect.stringContaining("not in this version yet") });
});

test("a wrong option, value or word too many ends with 2 and runs nothing", async () => {
  expect(await call("run", "--onse")).toMatchObject({ exit: 2, out: "", err: expect.stringContaining("--once") });
  expect(await call("check", "--config")).toMatchObject({ exit: 2, err: expect.stringContaining("argument missing") });
  expect(await call("version", "now")).toMatchObject({ exit: 2, out: "" });
  expect(await call("spool", "cat", "--dir", "/none", "--from", "1.5")).toMatchObject({ exit: 2, err: expect.stringContaining("whole number") });
});

test("version for people and for machines", async () => {
  expect((await call("version")).out).toStartWith("logferry ");
  const { exit, out } = await call("version", "--json");
  expect(exit).toBe(0);
  expect(Object.keys(JSON.parse(out) as object)).toEqual(["version", "commit", "bun", "target"]);
});

test("a fault of a command is a message and a hint, with exit 1", async () => {
  await using dir = await scratch();
  const { exit, err } = await call("spool", "ls", "--dir", dir.path);
  expect(exit).toBe(1);
  expect(err).toBe(`logferry: open spool ${dir.path}: there is none\nname the folder with --dir, or the configuration with --config\n`);
});

/** `run` with a right configuration and an agent of the test. */
async function runWith(
  agent: (options: Parameters<RunAgent>[0], io: TestIo) => ReturnType<RunAgent>,
  ...more: string[]
): Promise<{ exit: number; io: TestIo }> {
  await using dir = await scratch();
  const file = dir.join("l.yaml");
  await writeFile(file, "sources: { app: { type: stdin } }\nsinks: { disk: { type: directory, dir: /data } }\n");
  const io = testIo({ tty: { stdout: false, stderr: more.includes("--once"), columns: 40 } });
  return { exit: await runProgram(["run", "--config", file, ...more], io, (options) => agent(options, io)), io };
}

test("run hands the configuration over and ends as the agent does", async () => {
  for (const exit of [0, 1, 3] as const) {
    const done = await runWith(async ({ config, once }) => {
      expect({ once, sources: Object.keys(config.sources), sinks: Object.keys(config.sinks) }).toEqual({
        once: false,
        sources: ["app"],
        sinks: ["disk"],
      });
      return { exit };
    });
    expect(done.exit).toBe(exit);
  }
});

test("run logs JSON lines on stderr and nothing on stdout", async () => {
  const { io } = await runWith(async ({ log }) => {
    log.info("started", { component: "agent" });
    return { exit: 0 };
  });
  expect(io.out()).toBe("");
  expect(JSON.parse(io.err())).toMatchObject({ level: "info", event: "started", component: "agent" });
});

test("run passes the signals on; SIGHUP is answered in the log and ends nothing", async () => {
  let seen = "";
  const { exit, io } = await runWith(async ({ signals }, from) => {
    signals.stop.addEventListener("abort", () => (seen += "stop "));
    signals.kill.addEventListener("abort", () => (seen += "kill"));
    from.hangup();
    from.stop();
    from.kill();
    return { exit: 3 };
  });
  expect({ exit, seen }).toEqual({ exit: 3, seen: "stop kill" });
  expect(io.err()).toContain("reload is not in this version yet");
});

test("run says a fault of the start with its code and hint, with exit 1; anything else is a bug", async () => {
  const fault = new Fault({ code: "spool_locked", retry: "never", message: "open spool /x: in use", hint: "Stop the other one." });
  const { exit, io } = await runWith(() => Promise.reject(fault));
  expect(exit).toBe(1);
  expect(JSON.parse(io.err())).toMatchObject({ level: "error", event: "open spool /x: in use", code: "spool_locked", hint: "Stop the other one." });
  expect(runWith(() => Promise.reject(new TypeError("bug")))).rejects.toThrow("bug");
});

test("run --once shows its progress in one line of a terminal", async () => {
  const { io } = await runWith(async ({ once, onProgress }) => {
    expect(once).toBe(true);
    onProgress?.({ records_read: 1000, records_delivered: 10, lag_bytes: 2048 });
    onProgress?.({ records_read: 2000, records_delivered: 2000, lag_bytes: 0 });
    return { exit: 0 };
  }, "--once");
  const lines = io.err().split("\r\u001B[K");
  expect(lines.at(1)).toBe("1,000 records read, 10 delivered, 2.0 K");
  expect(lines.at(-1)).toBe("2,000 records read, 2,000 delivered, 0 \n");
});

test("run shows no progress where there is no terminal, and starts nothing with a wrong configuration", async () => {
  await using dir = await scratch();
  const file = dir.join("l.yaml");
  await writeFile(file, "sources: {}\n");
  const { exit, err } = await call("run", "--once", "--config", file);
  expect(exit).toBe(2);
  expect(err.split("\n").slice(0, 2)).toEqual([expect.stringContaining("sources: is empty"), expect.stringContaining("sinks: is missing")]);
});
