/**
 * Traps of the runtime, each held: what an executable made by build.ts must not do, whatever stands around it.
 * The program inside is a small one that loads every library of the product and says what it sees.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, symlinkSync } from "node:fs";
import { copyFile, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { compile } from "../../build.ts";
import { runProcess } from "../support/process.ts";
import { type Scratch, scratch } from "../support/scratch.ts";
import { makeBucket, startVersitygw } from "../support/versitygw.ts";

const root = join(import.meta.dir, "..", "..");
const program = `
import { S3Client, PutObjectCommand } from "@aws-sdk/client-s3";
import Table from "cli-table3";
import { Command } from "commander";
import { distance } from "fastest-levenshtein";
import { Hono } from "hono";
import { Histogram, Registry } from "prom-client";
import * as v from "valibot";
import { parse } from "yaml";
import { fastestLoops, plainLoops } from ${JSON.stringify(join(root, "src/pipeline/kernel/kernel.ts"))};
import { commit, version } from ${JSON.stringify(join(root, "src/core/version.ts"))};

const works = {
  async metrics() {
    const registry = new Registry();
    new Histogram({ name: "a_seconds", help: "a", registers: [registry] }).observe(1);
    return (await registry.metrics()).includes("a_seconds_count 1");
  },
  async server() {
    const app = new Hono().get("/:name{[a-z]+}", (c) => c.json({ name: c.req.param("name") }));
    return (await (await app.request("/abc")).json()).name === "abc";
  },
  schema: () => v.safeParse(v.strictObject({ a: v.pipe(v.string(), v.regex(/^b/)) }), parse("a: b")).success,
  table: () => new Table({ head: ["x"] }).toString().includes("x"),
  command: () => new Command("logferry").option("--json").parse(["--json"], { from: "user" }).opts().json,
  nearest: () => distance("sinsk", "sinks") === 2,
  kernel: () => fastestLoops() !== plainLoops,
  async s3() {
    const { S3_ENDPOINT: endpoint, S3_ID: accessKeyId, S3_SECRET: secretAccessKey } = process.env;
    if (endpoint === undefined) return true;
    const client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
    await client.send(new PutObjectCommand({ Bucket: "logs", Key: "a/b", Body: "hello", IfNoneMatch: "*" }));
    return true;
  },
};

if (process.argv[2] === "fail") failOnPurpose();
if (process.argv[2] === "fail-on-demand") (await import("./demand.ts")).failOnDemand();
const failed = [];
for (const [name, work] of Object.entries(works)) if (!(await work())) failed.push(name);
let evaluated = "refused";
try { evaluated = new Function("return 'ran'")(); } catch {}
console.log(JSON.stringify({ version, commit, failed, evaluated, dotenv: process.env.FROM_DOTENV ?? null, preloaded: globalThis.preloaded ?? null }));

function failOnPurpose() {
  throw new Error("on purpose");
}
`;

let dir: Scratch;
let executable: string;

beforeAll(async () => {
  dir = await scratch();
  symlinkSync(join(root, "node_modules"), dir.join("node_modules"));
  await Bun.write(dir.join("program.ts"), program);
  await Bun.write(dir.join("demand.ts"), `export function failOnDemand(): never {\n  throw new Error("on purpose");\n}\n`);
  executable = dir.join("built", "program");
  await compile(dir.join("program.ts"), executable, { version: "1.2.3", commit: "abcdef" });
}, 120_000);
afterAll(() => dir[Symbol.asyncDispose]());

/** Runs it in `cwd`, which may lie in wait. */
async function run(cwd: string, env: Record<string, string | undefined> = {}): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runProcess([executable], { cwd, env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as Record<string, unknown>;
}

test("is stamped, and every library and the WebAssembly kernel work where code from strings is refused", async () => {
  const seen = await run(dir.path);
  expect(seen).toEqual({ version: "1.2.3", commit: "abcdef", failed: [], evaluated: "refused", dotenv: null, preloaded: null });
});

test("puts an object into a real bucket", async () => {
  await makeBucket(dir.join("s3"), "logs");
  await using s3 = await startVersitygw(dir.join("s3"));
  const seen = await run(dir.path, { S3_ENDPOINT: s3.endpoint, S3_ID: s3.accessKey, S3_SECRET: s3.secretKey });
  expect(seen["failed"]).toEqual([]);
  expect(await Bun.file(dir.join("s3", "logs", "a", "b")).text()).toBe("hello");
});

test("reads neither .env nor bunfig.toml, tsconfig.json or package.json of the directory it starts in", async () => {
  const trap = dir.join("trap");
  await Bun.write(join(trap, ".env"), "FROM_DOTENV=1\n");
  await Bun.write(join(trap, "bunfig.toml"), `preload = ["./preload.ts"]\n`);
  await Bun.write(join(trap, "preload.ts"), `globalThis.preloaded = "yes";`);
  await Bun.write(join(trap, "tsconfig.json"), "{ not json");
  await Bun.write(join(trap, "package.json"), "{ not json");
  expect(await run(trap)).toMatchObject({ dotenv: null, preloaded: null, failed: [] });
});

test("refuses the preload of BUN_OPTIONS: it ends before the foreign code has run", async () => {
  const trap = dir.join("options");
  await Bun.write(join(trap, "preload.ts"), `import { writeFileSync } from "node:fs"; writeFileSync("ran", "yes");`);
  const { code } = await runProcess([executable], { cwd: trap, env: { BUN_OPTIONS: `--preload=${join(trap, "preload.ts")}` } });
  expect(code).not.toBe(0);
  expect(existsSync(join(trap, "ran"))).toBe(false);
});

for (const [what, word, place] of [
  ["an error", "fail", /program\.ts:\d+:\d+/],
  ["an error of a part that is loaded on demand", "fail-on-demand", /demand\.ts:\d+:\d+/],
] as const) {
  test(`traces ${what} to the source although it is minified, with nothing lying beside it`, async () => {
    const { code, stderr } = await runProcess([executable, word], { cwd: dir.path });
    expect(code).not.toBe(0);
    expect(stderr).toContain("on purpose");
    expect(stderr).toMatch(place);
    expect(existsSync(`${executable}.map`)).toBe(false);
  });
}

test("strip would turn it into the plain runtime: never strip it", async () => {
  await mkdir(dir.join("stripped"));
  const stripped = dir.join("stripped", "program");
  await copyFile(executable, stripped);
  await runProcess(["strip", stripped]);
  const { stdout } = await runProcess([stripped], { cwd: dir.path });
  // The day this holds a program, the warning in build.ts can go.
  expect(stdout).not.toContain(`"version":"1.2.3"`);
});

test("a bundle that fails leaves neither an executable nor a folder behind", async () => {
  await Bun.write(dir.join("wrong.ts"), `import "./absent.ts";`);
  await mkdir(dir.join("none"));
  await expect(compile(dir.join("wrong.ts"), dir.join("none", "program"), { version: "1", commit: "1" })).rejects.toThrow();
  expect([...new Bun.Glob("**/*").scanSync({ cwd: dir.join("none"), dot: true, onlyFiles: false })]).toEqual([]);
});

test("its size is said, and is the runtime's and little more", async () => {
  const bytes = (await stat(executable)).size;
  const runtime = (await stat(process.execPath)).size;
  console.log(`executable ${(bytes / 1e6).toFixed(1)} MB, of it the runtime ${(runtime / 1e6).toFixed(1)} MB`);
  expect(bytes - runtime).toBeLessThan(20_000_000);
});
