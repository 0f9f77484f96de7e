/** The executable itself, as `npm run build` makes it. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { ensureExecutable } from "../../build.ts";
import { runProcess } from "../support/process.ts";
import { scratch } from "../support/scratch.ts";

const root = join(import.meta.dir, "..", "..");
const { path: logferry } = await ensureExecutable();

test("is not built again from the same inputs", async () => {
  expect(await ensureExecutable()).toMatchObject({ path: logferry, built: false });
});

test("version --json says the version of package.json and a commit", async () => {
  const { version } = (await Bun.file(join(root, "package.json")).json()) as { version: string };
  const { code, stdout } = await runProcess([logferry, "version", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ version, commit: expect.stringMatching(/^(?:[0-9a-f]{40}(?:-dirty)?|unknown)$/) });
});

test("reads no .env and no bunfig.toml of the directory it starts in", async () => {
  await using dir = await scratch();
  await Bun.write(dir.join(".env"), "LOGFERRY_TEST_DIR=/from/dotenv\n");
  await Bun.write(dir.join("bunfig.toml"), `preload = ["./preload.ts"]\n`);
  await Bun.write(dir.join("preload.ts"), `console.log("hostile");`);
  const yaml = "spool: { dir: '${LOGFERRY_TEST_DIR}' }\nsources: { in: { type: stdin } }\nsinks: { out: { type: directory, dir: out } }\n";
  await Bun.write(dir.join("logferry.yaml"), yaml);
  const { code, stdout, stderr } = await runProcess([logferry, "check", "--offline", "--config", "logferry.yaml"], { cwd: dir.path });
  expect(code).toBe(2);
  expect(`${stdout}${stderr}`).toContain("LOGFERRY_TEST_DIR");
  expect(`${stdout}${stderr}`).not.toContain("hostile");
});

test("the example configuration of install.sh is a right one", async () => {
  await using dir = await scratch();
  await Bun.$`sh ${join(root, "install.sh")} --from ${logferry} --root ${dir.path}`.quiet();
  const config = dir.join("etc/logferry/logferry.yaml");
  const { code, stdout, stderr } = await runProcess([logferry, "check", "--offline", "--config", config]);
  expect({ code, said: code === 0 ? "" : stdout + stderr }).toEqual({ code: 0, said: "" });
});
