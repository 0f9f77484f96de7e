/** The real process: streams, signals and exit codes, which no command test can see. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProcess, startProcess } from "../test/support/process.ts";
import { scratch, type Scratch } from "../test/support/scratch.ts";
import { until } from "../test/support/until.ts";

const main = [process.execPath, join(import.meta.dir, "main.ts")];

async function configured(dir: Scratch): Promise<string> {
  const file = dir.join("l.yaml");
  const [logs, out, spool] = [dir.join("a.log"), dir.join("out"), dir.join("spool")];
  await writeFile(logs, "one\ntwo\n");
  await writeFile(
    file,
    `sources: { app: { type: file, include: [${logs}] } }\nsinks: { disk: { type: directory, dir: ${out} } }\nspool: { dir: ${spool}, min_free_bytes: 0 }\ncontrol: { listen: "127.0.0.1:0" }\n`,
  );
  return file;
}

test("answers go to stdout, complaints to stderr, and the code says which it was", async () => {
  expect(await runProcess([...main, "version"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^logferry /), stderr: "" });
  expect(await runProcess([...main, "rum"])).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("did you mean `run`?") });
});

test("run lives through SIGHUP, drains at SIGTERM, and says so", async () => {
  await using dir = await scratch();
  await using started = startProcess([...main, "run", "--config", await configured(dir)]);
  await until(() => started.stderr().includes('"event":"started"'), "the agent has started");
  started.kill("SIGHUP");
  await until(() => started.stderr().includes("reload is not in this version yet"), "SIGHUP is answered");
  expect(await started.stop("SIGTERM")).toBe(0);
  expect(started.stdout()).toBe("");
});

test("run --once ends by itself, and status finds nobody afterwards", async () => {
  await using dir = await scratch();
  const config = await configured(dir);
  expect(await runProcess([...main, "run", "--once", "--config", config])).toMatchObject({ code: 0, stdout: "" });
  expect(await runProcess([...main, "status", "--config", config])).toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringContaining("no running instance answers"),
  });
});

test("a reader that has seen enough is no fault, a full disk is one", async () => {
  const shell = (command: string): Promise<{ code: number; stderr: string }> =>
    runProcess(["bash", "-c", command], { env: { MAIN: main.join(" ") } });
  expect(await shell("$MAIN help | head -c 1 > /dev/null; exit ${PIPESTATUS[0]}")).toMatchObject({ code: 0, stderr: "" });
  expect(await shell("$MAIN help > /dev/full")).toMatchObject({ code: 1, stderr: "logferry: write to standard output: no space left on device\n" });
});
