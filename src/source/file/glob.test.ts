import { expect, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { systemDisk } from "../../core/disk.ts";
import type { Fault } from "../../core/fault.ts";
import { findFiles, type Globs } from "./found.ts";
import { compile, compileExclude, expandBraces } from "./glob.ts";

async function tree(...paths: string[]): Promise<Scratch> {
  const dir = await scratch();
  for (const path of paths) {
    await mkdir(dirname(dir.join(path)), { recursive: true });
    await writeFile(dir.join(path), path);
  }
  return dir;
}

async function find(dir: Scratch, include: readonly string[], rest: Partial<Globs> = {}): Promise<{ paths: string[]; faults: Fault[] }> {
  const faults: Fault[] = [];
  const patterns = include.flatMap((text) => compile(dir.join(text)));
  const found = await findFiles(systemDisk, { patterns, excluded: () => false, symlinkRoots: [], ...rest }, (fault) => faults.push(fault));
  return { paths: [...found.values()].map(({ path }) => path.slice(dir.path.length + 1)).sort(), faults };
}

test("wildcards match within a name, ** across folders, and a dot only where it is asked for", async () => {
  await using dir = await tree("a.log", "b.txt", ".hidden.log", "x/c.log", "x/y/d.log", "x/.git/e.log", "web1.log", "web22.log");
  expect((await find(dir, ["*.log"])).paths).toEqual(["a.log", "web1.log", "web22.log"]);
  expect((await find(dir, [".*.log"])).paths).toEqual([".hidden.log"]);
  expect((await find(dir, ["**/*.log"])).paths).toEqual(["a.log", "web1.log", "web22.log", "x/c.log", "x/y/d.log"]);
  expect((await find(dir, ["x/**"])).paths).toEqual(["x/c.log", "x/y/d.log"]);
  expect((await find(dir, ["*/*.log"])).paths).toEqual(["x/c.log"]);
  expect((await find(dir, ["web?.log", "[ab].*"])).paths).toEqual(["a.log", "b.txt", "web1.log"]);
  expect((await find(dir, ["{x/c,a}.log"])).paths).toEqual(["a.log", "x/c.log"]);
});

test("braces are spelled out, nested ones too", () => {
  expect(expandBraces("/a/{b,c{d,e}}/f")).toEqual(["/a/b/f", "/a/cd/f", "/a/ce/f"]);
  expect(expandBraces("/a/{b/c")).toEqual(["/a/{b/c"]);
  expect(expandBraces("/a/\\{b,c\\}")).toEqual(["/a/\\{b,c\\}"]);
});

test("exclude goes by the path, and by the name alone when it has no slash", () => {
  const excluded = compileExclude(["*.gz", "/var/log/private/**"]);
  expect(excluded("/var/log/app.log.1.gz")).toBe(true);
  expect(excluded("/var/log/private/a/b.log")).toBe(true);
  expect(excluded("/var/log/app.log")).toBe(false);
});

test("one file under many names is found once", async () => {
  await using dir = await tree("a.log");
  await symlink(dir.join("a.log"), dir.join("b.log"));
  await systemDisk.link(dir.join("a.log"), dir.join("c.log"));
  expect((await find(dir, ["*.log", "a.*", "a.log"])).paths).toEqual(["a.log"]);
});

test("a symlink is followed below the globs' folders and symlink_roots, and refused elsewhere", async () => {
  await using outside = await tree("secret");
  await using dir = await tree("logs/real/a.txt");
  await symlink(dir.join("logs", "real", "a.txt"), dir.join("logs", "inside.log"));
  await symlink(outside.join("secret"), dir.join("logs", "outside.log"));
  const { paths, faults } = await find(dir, ["logs/*.log"]);
  expect(paths).toEqual(["logs/inside.log"]);
  expect(faults.map(({ code }) => code)).toEqual(["file_symlink_refused"]);
  expect((await find(dir, ["logs/*.log"], { symlinkRoots: [outside.path] })).paths).toEqual(["logs/inside.log", "logs/outside.log"]);
});

test("what is no file, is missing or may not be listed is said with a path and a hint", async () => {
  await using dir = await tree("closed/a.log", "x.log/inner", "a.log");
  expect(Bun.spawnSync(["mkfifo", dir.join("fifo.log")]).exitCode).toBe(0);
  const { paths, faults } = await find(dir, ["*.log", "missing.log", "nothing-*.log"]);
  expect(paths).toEqual(["a.log"]);
  const said = faults.map(({ code, message }) => `${code} ${message.replace(`${dir.path}/`, "")}`).sort();
  expect(said).toEqual([
    "file_missing there is no file missing.log",
    "file_no_match no file matches nothing-*.log",
    "file_not_regular fifo.log is a pipe or device, not a file",
    "file_not_regular x.log is a folder, not a file",
  ]);
  expect(faults.every(({ hint }) => hint !== undefined && hint !== "")).toBe(true);
  expect((await find(dir, ["*"])).faults.map(({ message }) => message)).toEqual([`${dir.join("fifo.log")} is a pipe or device, not a file`]);
  // It is there: that it is missing would be a lie.
  expect((await find(dir, ["fifo.log", "x.log"])).faults.map(({ code }) => code)).toEqual(["file_not_regular", "file_not_regular"]);
});

test("a folder that may not be listed is a fault of its own", async () => {
  const list = (): Promise<string[]> => Promise.reject(Object.assign(new Error("refused"), { code: "EACCES" }));
  const faults: Fault[] = [];
  const globs = { patterns: compile("/closed/*.log"), excluded: () => false, symlinkRoots: [] };
  await findFiles({ ...systemDisk, list }, globs, (fault) => faults.push(fault));
  expect(faults.map(({ code, message }) => `${code}: ${message}`)).toEqual([
    "file_permission_denied: list /closed: permission denied",
    "file_no_match: no file matches /closed/*.log",
  ]);
  expect(faults[0]?.hint).toContain("setfacl -m u:logferry:rx /closed");
});
