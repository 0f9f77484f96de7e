/** install.sh in a scratch root: fresh, upgrade, a release that was tampered with, uninstall; against a release server of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { runProcess } from "../support/process.ts";
import { type Scratch, scratch } from "../support/scratch.ts";

const script = join(import.meta.dir, "..", "..", "install.sh");
/** dash is the strictest sh there is; elsewhere whatever sh is. */
const shell = Bun.which("dash") ?? "sh";
const releases = ["linux-x64", "linux-arm64", "linux-x64-musl", "linux-arm64-musl", "darwin-arm64", "darwin-x64"].map(
  (target) => `logferry-${target}`,
);

/** What stands for the executable: a script that says its version. */
const fake = (version: string): string => `#!/bin/sh\necho ${version}\n`;
const digest = (text: string): string => new Bun.CryptoHasher("sha256").update(text).digest("hex");
const sums = (text: string): string => releases.map((name) => `${digest(text)}  ${name}\n`).join("");

let server: Bun.Server<undefined>;
const served = new Map<string, string>();

beforeAll(() => {
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const text = served.get(new URL(request.url).pathname);
      return text === undefined ? new Response("no such file", { status: 404 }) : new Response(text);
    },
  });
});
afterAll(() => server.stop(true));

/** Puts a release on the server: the same executable for every target. */
function release(version: string, text: string, sumsText = sums(text)): void {
  for (const name of releases) served.set(`/${version}/${name}`, text);
  served.set(`/${version}/SHA256SUMS`, sumsText);
}

interface Installed extends Scratch {
  run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  download(version: string): Promise<{ code: number; stdout: string; stderr: string }>;
  read(path: string): Promise<string>;
}

const executable = "usr/local/bin/logferry";
const config = "etc/logferry/logferry.yaml";
const unit = "etc/systemd/system/logferry.service";

async function scratchRoot(): Promise<Installed> {
  const dir = await scratch();
  await mkdir(dir.join("root"));
  const run = (...args: string[]): ReturnType<Installed["run"]> => runProcess([shell, script, ...args, "--root", dir.join("root")]);
  return {
    ...dir,
    run,
    download: (version) => run("--url", server.url.href, "--version", version),
    read: (path) => Bun.file(dir.join("root", path)).text(),
  };
}

describe("a local build", () => {
  test("is installed with an example configuration, a unit and a folder for the data", async () => {
    await using root = await scratchRoot();
    await Bun.write(root.join("built"), fake("1.0.0"));
    const { code, stdout, stderr } = await root.run("--from", root.join("built"));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(executable);
    expect(await root.read(executable)).toBe(fake("1.0.0"));
    expect((await stat(root.join("root", executable))).mode & 0o777).toBe(0o755);
    expect(await root.read(config)).toContain("type: file");
    expect((await stat(root.join("root", config))).mode & 0o777).toBe(0o640);
    expect((await stat(root.join("root/var/lib/logferry"))).mode & 0o777).toBe(0o750);
    // Nothing half done stays behind.
    expect(await readdir(root.join("root/usr/local/bin"))).toEqual(["logferry"]);
  });

  test("replaces the one before, keeps the configuration and lays the new example beside it", async () => {
    await using root = await scratchRoot();
    await Bun.write(root.join("built"), fake("1.0.0"));
    await root.run("--from", root.join("built"));
    const example = await root.read(config);
    const mine = "spool: { dir: /data }\n";
    await Bun.write(root.join("root", config), mine);
    await Bun.write(root.join("built"), fake("2.0.0"));
    const { code, stdout } = await root.run(`--from=${root.join("built")}`);
    expect(code).toBe(0);
    expect(stdout).toContain("as it is");
    expect(await root.read(executable)).toBe(fake("2.0.0"));
    expect(await root.read(config)).toBe(mine);
    expect(await root.read(`${config}.new`)).toBe(example);
  });

  test("leaves an untouched configuration alone without a word about a new one", async () => {
    await using root = await scratchRoot();
    await Bun.write(root.join("built"), fake("1.0.0"));
    await root.run("--from", root.join("built"));
    await root.run("--from", root.join("built"));
    expect(await readdir(root.join("root/etc/logferry"))).toEqual(["logferry.yaml"]);
  });

  test("that is missing or empty changes nothing and says how to get one", async () => {
    await using root = await scratchRoot();
    await Bun.write(root.join("built"), fake("1.0.0"));
    await root.run("--from", root.join("built"));
    await Bun.write(root.join("empty"), "");
    const missing = await root.run("--from", root.join("absent"));
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("npm run build") });
    expect(await root.run("--from", root.join("empty"))).toMatchObject({ code: 1, stderr: expect.stringContaining("is empty") });
    expect(await root.read(executable)).toBe(fake("1.0.0"));
    expect(await readdir(root.join("root/usr/local/bin"))).toEqual(["logferry"]);
  });
});

describe("a release", () => {
  test("is downloaded for this machine and checked", async () => {
    await using root = await scratchRoot();
    release("v1.0.0", fake("1.0.0"));
    expect(await root.download("v1.0.0")).toMatchObject({ code: 0, stderr: "" });
    expect(await root.read(executable)).toBe(fake("1.0.0"));
  });

  test("works with wget alone", async () => {
    await using root = await scratchRoot();
    release("v1.1.0", fake("1.1.0"));
    // A PATH that holds what the script uses, and no curl.
    const names = "awk cat chmod cmp cp cut dash grep head id mkdir mktemp mv rm sh sha256sum shasum sync uname wget".split(" ");
    const tools = names.map((name) => [name, Bun.which(name)] as const).filter(([, path]) => path !== null);
    await mkdir(root.join("tools"));
    for (const [name, path] of tools) {
      await Bun.write(root.join("tools", name), `#!${Bun.which("sh")}\nexec ${path} "$@"\n`);
      await chmod(root.join("tools", name), 0o755);
    }
    const args = ["--url", server.url.href, "--version", "v1.1.0", "--root", root.join("root")];
    const withTools = (): ReturnType<Installed["run"]> => runProcess([shell, script, ...args], { env: { PATH: root.join("tools") } });
    expect(await withTools()).toMatchObject({ code: 0, stderr: "" });
    expect(await root.read(executable)).toBe(fake("1.1.0"));
    await Bun.file(root.join("tools", "wget")).delete();
    expect(await withTools()).toMatchObject({ code: 1, stderr: expect.stringContaining("neither curl nor wget") });
  });

  test("with a wrong checksum is refused and the old executable stays", async () => {
    await using root = await scratchRoot();
    release("v1.0.0", fake("1.0.0"));
    await root.download("v1.0.0");
    release("v2.0.0", fake("evil"), sums(fake("2.0.0")));
    const { code, stderr } = await root.download("v2.0.0");
    expect(code).toBe(1);
    expect(stderr).toContain("nothing was changed");
    expect(await root.read(executable)).toBe(fake("1.0.0"));
    expect(await readdir(root.join("root/usr/local/bin"))).toEqual(["logferry"]);
  });

  test("without a line in SHA256SUMS, or that is not there, is refused", async () => {
    await using root = await scratchRoot();
    release("v3.0.0", fake("3.0.0"), `${digest(fake("3.0.0"))}  logferry-plan9-mips\n`);
    expect(await root.download("v3.0.0")).toMatchObject({ code: 1, stderr: expect.stringContaining("has no line for logferry-") });
    expect(await root.download("v9.9.9")).toMatchObject({ code: 1, stderr: expect.stringContaining("download") });
    expect(await readdir(root.join("root/usr/local/bin"))).toEqual([]);
  });
});

test("uninstall removes executable and unit, keeps data and configuration, and can be repeated", async () => {
  await using root = await scratchRoot();
  await Bun.write(root.join("built"), fake("1.0.0"));
  await root.run("--from", root.join("built"));
  await Bun.write(root.join("root/var/lib/logferry/spool.json"), "{}");
  const { code, stdout } = await root.run("--uninstall");
  expect(code).toBe(0);
  expect(stdout).toContain(`kept       ${root.join("root", config)}`);
  expect(await Bun.file(root.join("root", executable)).exists()).toBe(false);
  expect(await Bun.file(root.join("root", unit)).exists()).toBe(false);
  expect(await root.read("var/lib/logferry/spool.json")).toBe("{}");
  expect(await root.read(config)).toContain("type: file");
  expect(await root.run("--uninstall")).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing to remove") });
});

describe("the command line", () => {
  const wrong: [args: string[], says: string][] = [
    [[], "what to install is missing"],
    [["--url", "http://127.0.0.1:1"], "what to install is missing"],
    [["--from"], "--from needs a value"],
    [["--from", "x", "--url", "y"], "not both"],
    [["--uninstall", "--from", "x"], "--uninstall takes no"],
    [["--frmo", "x"], "unknown argument: --frmo"],
  ];
  test.each(wrong)("%p is refused with exit code 2", async (args, says) => {
    expect(await runProcess([shell, script, ...args])).toMatchObject({ code: 2, stderr: expect.stringContaining(says) });
  });

  test("--help tells all options, a missing root is said", async () => {
    const { code, stdout } = await runProcess([shell, script, "--help"]);
    expect(code).toBe(0);
    for (const option of ["--from", "--url", "--version", "--uninstall", "--root"]) expect(stdout).toContain(option);
    const absent = await runProcess([shell, script, "--from", script, "--root", join(import.meta.dir, "absent")]);
    expect(absent).toMatchObject({ code: 1, stderr: expect.stringContaining("mkdir -p") });
  });
});

describe("the unit", () => {
  async function readUnit(): Promise<string> {
    await using root = await scratchRoot();
    await Bun.write(root.join("built"), fake("1.0.0"));
    await root.run("--from", root.join("built"));
    return await root.read(unit);
  }

  test("restarts, reloads, drains in peace and lets no foreign code in", async () => {
    const lines = (await readUnit()).split("\n");
    for (const line of ["StateDirectory=logferry", "Restart=always", "ExecReload=/bin/kill -HUP $MAINPID", "User=logferry", "NoNewPrivileges=yes"]) {
      expect(lines).toContain(line);
    }
    expect(lines).toContain("UnsetEnvironment=BUN_BE_BUN BUN_OPTIONS");
    // drain_timeout is 30 s.
    expect(Number(/^TimeoutStopSec=(\d+)s$/m.exec(lines.join("\n"))?.[1])).toBeGreaterThan(30);
  });

  test("is accepted by systemd", async () => {
    await using dir = await scratch();
    // The executable is not installed on this machine; everything else is judged as it is.
    await Bun.write(dir.join("logferry.service"), (await readUnit()).replace("/usr/local/bin/logferry", "/bin/true"));
    const { stdout, stderr } = await runProcess(["systemd-analyze", "verify", "--man=no", dir.join("logferry.service")]);
    expect(`${stdout}${stderr}`.split("\n").filter((line) => line.includes("logferry.service"))).toEqual([]);
  });
});

test("shellcheck has nothing to say", async () => {
  expect(await runProcess(["shellcheck", script])).toEqual({ code: 0, stdout: "", stderr: "" });
});
