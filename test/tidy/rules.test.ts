/** Each rule of tidy, proved by a small offence and by the right way beside it. */
import { describe, expect, test } from "bun:test";
import { checkBanned, checkWords } from "./banned.ts";
import { checkFaults, faultCodes } from "./fault.ts";
import { checkImports } from "./imports.ts";
import { checkNames } from "./name.ts";
import { checkHead, checkSize } from "./size.ts";
import { type Violation, parse } from "./source.ts";
import { checkAgents, checkLinks, checkLockfile, checkPlaces } from "./text.ts";

const words = (found: readonly Violation[]): string[] => found.map(({ line, message }) => `${line}: ${message}`);
const imports = (path: string, text: string): string[] => words(checkImports(parse(path, text), new Set(["hono", "@aws-sdk/client-s3"])));
const banned = (path: string, text: string): string[] => words(checkBanned(parse(path, text)));

describe("imports", () => {
  const offences: [path: string, text: string, says: string][] = [
    ["src/source/file/source.ts", `import { x } from "../../pipeline/split.ts";`, "siblings never import siblings"],
    ["src/source/file/source.ts", `\nimport type { X } from "../../spool/writer.ts";`, "2: imports src/spool/writer.ts"],
    ["src/source/file/source.ts", `type X = import("../../spool/writer.ts").X;`, "siblings never import siblings"],
    ["src/sink/deliver.ts", `export { x } from "../spool/reader.ts";`, "siblings never import siblings"],
    ["src/sink/deliver.ts", `const x = await import("../spool/reader.ts");`, "siblings never import siblings"],
    ["src/core/log.ts", `import { x } from "../spool/reader.ts";`, "imports go down"],
    ["src/control/routes.ts", `import { x } from "../agent.ts";`, "imports go down"],
    ["src/control/routes.ts", `import { x } from "../config/config.ts";`, "imports go down"],
    ["src/agent.ts", `import { x } from "./command/run.ts";`, "imports go down"],
    ["src/config/config.ts", `import { x } from "../spool/writer.ts";`, "config takes source/registry.ts"],
    ["src/source/http/source.ts", `import { x } from "../file/source.ts";`, "one component does not know another"],
    ["src/source/http/source.ts", `import { x } from "../registry.ts";`, "does not know the registry"],
    ["src/sink/deliver.ts", `import { x } from "./s3/sink.ts";`, "only src/sink/registry.ts knows the components"],
    ["src/extra/thing.ts", `import { x } from "../core/log.ts";`, "extra is not in the import table"],
    ["src/core/log.ts", `import { x } from "./fault";`, "write the file's ending"],
    ["src/core/log.ts", `import { x } from "../../test/support/until.ts";`, "the product imports from src/ only"],
    ["src/core/log.ts", `import { x } from "fast-check";`, `write it into "dependencies"`],
    ["src/core/log.ts", `import { x } from "@aws-sdk/other/deep";`, "imports @aws-sdk/other"],
  ];
  test.each(offences)("%s refuses %s", (path, text, says) => expect(imports(path, text).join()).toContain(says));

  const right: [path: string, text: string][] = [
    ["src/main.ts", `import { a } from "./command/run.ts"; import { b } from "./agent.ts"; import { c } from "./core/log.ts";`],
    ["src/agent.ts", `import { a } from "./config/config.ts"; import { b } from "./source/registry.ts"; import { c } from "./spool/open.ts";`],
    [
      "src/config/config.ts",
      `import { a } from "../source/registry.ts"; import { b } from "../sink/registry.ts"; import { c } from "../spool/config.ts";`,
    ],
    ["src/source/registry.ts", `import { a } from "./file/source.ts";`],
    ["src/source/file/source.ts", `import { a } from "../schema.ts"; import { b } from "./tail.ts"; import { c } from "../../core/log.ts";`],
    ["src/sink/s3/sink.ts", `import { a } from "@aws-sdk/client-s3"; import { b } from "node:path"; import { c } from "bun";`],
    ["src/core/log.test.ts", `import { a } from "fast-check"; import { b } from "../../test/support/until.ts";`],
    ["bench/run.ts", `import { a } from "../src/spool/writer.ts";`],
  ];
  test.each(right)("%s may %s", (path, text) => expect(imports(path, text)).toEqual([]));
});

describe("size", () => {
  const size = (path: string, text: string): string[] => words(checkSize(parse(path, text)));
  const lines = (count: number): string => "\n".repeat(count - 1);

  test("a file of 401 lines and a function of 71 are too long", () => {
    expect(size("src/core/a.ts", `let a;${"\n".repeat(399)}let b;`)).toEqual([]);
    expect(size("src/core/a.ts", `let a;${"\n".repeat(400)}let b;`).join()).toContain("401 lines");
    expect(size("src/core/a.ts", `function a() {${lines(70)}}`)).toEqual([]);
    expect(size("src/core/a.ts", `\nfunction longOne() {${lines(71)}}`)).toEqual([
      "2: function longOne has 71 lines, 70 at most: give its parts names",
    ]);
    expect(size("src/core/a.ts", `const longOne = () => {${lines(72)}};`).join()).toContain("longOne has 72 lines");
    expect(size("src/core/a.ts", `class A { longOne() {${lines(72)}} }`).join()).toContain("longOne has 72 lines");
    expect(size("src/core/a.test.ts", `describe("a", () => {${lines(100)}});`)).toEqual([]);
  });

  test("a file without a head is told so", () => {
    expect(words(checkHead(parse("src/a.ts", `/** Head. */\nlet a;`)))).toEqual([]);
    expect(words(checkHead(parse("tool/a.ts", `#!/usr/bin/env bun\n/** Head. */`)))).toEqual([]);
    expect(words(checkHead(parse("src/a.ts", `// no\nlet a;`))).join()).toContain("no head");
  });
});

describe("banned", () => {
  const offences: [text: string, says: string][] = [
    ["process.exit(1);", "return an exit code"],
    [`process.on("SIGTERM", f);`, "signals are handed in"],
    ["console.log(1);", "context.log"],
    ["const a = Date.now();", "doors.clock"],
    ["const a = new Date();", "doors.clock"],
    ["const a = performance.now();", "doors.clock"],
    ["setTimeout(f, 1);", "doors.clock"],
    ["await Bun.sleep(1);", "doors.clock"],
    ["AbortSignal.timeout(1);", "withDeadline"],
    ["const a = Math.random();", "doors.random"],
    ["const a = crypto.randomUUID();", "doors.random"],
    ["await fetch(url);", "doors.network"],
    ["const call = fetch;", "doors.network"],
    ["new WebSocket(url);", "doors.network"],
    ["Bun.serve({});", "doors.network"],
    ["Bun.file(path);", "doors.disk"],
    ["Bun.gunzipSync(bytes);", "stops after the first member"],
    ["Bun.zstdCompressSync(bytes);", "doors.compress"],
    [`import { readFileSync } from "node:fs";`, "doors.disk"],
    [`import fs from "fs/promises";`, "doors.disk"],
    [`const fs = await import("node:fs");`, "doors.disk"],
    [`import { get } from "node:http";`, "doors.network"],
    [`import { gzip } from "node:zlib";`, "doors.compress"],
    [`import { Readable } from "node:stream";`, "buffers read through doors.disk"],
    [`import readline from "node:readline";`, "buffers read through doors.disk"],
    [`import { Worker } from "node:worker_threads";`, "one process"],
    [`import { Database } from "bun:sqlite";`, "kernel lock"],
  ];
  test.each(offences)("%s", (text, says) => expect(banned("src/source/file/source.ts", `\n${text}`).join()).toContain(says));

  test("names file, line and replacement", () => {
    expect(checkBanned(parse("src/spool/writer.ts", "let a;\nconst b = Date.now();"))).toEqual([
      { path: "src/spool/writer.ts", line: 2, message: expect.stringContaining("Date.now is not used here: doors.clock") },
    ]);
  });

  test("the doors, main.ts, tests and tools may", () => {
    expect(banned("src/core/clock.ts", "Date.now(); setTimeout(f, 1);")).toEqual([]);
    expect(banned("src/core/disk.ts", `import * as fs from "node:fs/promises";`)).toEqual([]);
    expect(banned("src/main.ts", "console.log(1); process.exit(1);")).toEqual([]);
    expect(banned("src/spool/lock.ts", `import { Database } from "bun:sqlite";`)).toEqual([]);
    expect(banned("src/spool/writer.test.ts", `import fs from "node:fs"; Date.now();`)).toEqual([]);
    expect(banned("bench/run.ts", "Date.now();")).toEqual([]);
  });

  test("what only looks like it is left alone", () => {
    expect(
      banned("src/source/a.ts", `import type { Stats } from "node:fs"; new Date(ms); const a = { fetch: 1 }; a.fetch; interface B { fetch(): void }`),
    ).toEqual([]);
  });

  test("unfinished work and tests left out are found in every file", () => {
    const found = (text: string): string => words(checkWords("bench/a.ts", text)).join();
    // In two pieces, so that whoever searches the tree for what is unfinished finds nothing here.
    const mark = ["TO", "DO"].join("");
    expect(found(`\n// ${mark} later`)).toBe(`2: ${mark}: do it now, or open an issue`);
    expect(found(`test.only("a", f)`)).toContain("a test that runs");
    expect(found("// @ts-ignore")).toContain("types that fit");
    expect(found("// oxlint-disable-next-line no-eval")).toContain("the reason");
    expect(found("// oxlint-disable-next-line eslint/no-eval -- the page of the docs is trusted")).toBe("");
    expect(found(`test("a todo list", f)`)).toBe("");
  });
});

describe("fault codes", () => {
  const codes = (text: string): string[] => faultCodes([parse("src/sink/a.ts", text)]).map(({ code }) => code);

  test("are found wherever a code comes from", () => {
    expect(codes(`throw new Fault({ code: "s3_slow_down", retry: "later", message: "put_this" });`)).toEqual(["s3_slow_down"]);
    expect(codes(`f({ code: status === "not_this" ? "a_b" : x ? "c_d" : "e_f" });`)).toEqual(["a_b", "c_d", "e_f"]);
    expect(codes(`interface A { code: "a_b" | "c_d" }`)).toEqual(["a_b", "c_d"]);
    expect(codes(`function refuse(path: string, code: string) {} refuse("not_this", "a_b");`)).toEqual(["a_b"]);
    expect(codes(`class A { #refuse(code: string) {} b() { this.#refuse("a_b"); } }`)).toEqual(["a_b"]);
    expect(codes(`const fail = (code: string) => code; fail("a_b");`)).toEqual(["a_b"]);
    expect(codes(`const code = busy ? "a_b" : "c_d";`)).toEqual(["a_b", "c_d"]);
    expect(codes(`f({ code: "ENOENT" }); g({ code: "internal" });`)).toEqual([]);
    expect(faultCodes([parse("src/sink/a.test.ts", `f({ code: "a_b" })`), parse("bench/a.ts", `f({ code: "a_b" })`)])).toEqual([]);
  });

  test("have a row each, and each row a code", () => {
    const used = [
      { code: "a_b", path: "src/a.ts", line: 3 },
      { code: "c_d", path: "src/a.ts", line: 4 },
    ];
    const found = checkFaults(used, "| code | meaning |\n|---|---|\n| `c_d` | … |\n| `e_f` | … |\n");
    expect(found.map(({ path, line, message }) => `${path}:${line}: ${message}`)).toEqual([
      "src/a.ts:3: fault code a_b has no row in docs/operating.md: say what it means and what to do",
      "docs/operating.md:4: fault code e_f is not used in src/ any more: take the row out",
    ]);
    expect(checkFaults(used, "| `some_metric` | … |\n## Fault codes\n| `a_b` | … |\n| `c_d` | … |\n| `stalled` | … |\n")).toEqual([]);
  });
});

test("a registry entry, its folder and its type have one name", () => {
  expect(checkNames("sink", ["s3"], { s3: { type: "s3" } })).toEqual([]);
  expect(words(checkNames("sink", ["s3", "gcs"], { s3: { type: "aws" }, http: { type: "http" } })).join("\n")).toBe(
    [
      "1: the entry s3 holds the kind with type aws: one name for both",
      "1: the entry http has no folder src/sink/http/: name the folder like the entry",
      "1: the folder src/sink/gcs/ has no entry: add its line",
    ].join("\n"),
  );
});

describe("texts", () => {
  test("paths of a machine and registries are found", () => {
    for (const text of [
      ["see /", "work/main/src"],
      ["cat /", "root/.profile"],
      [`dir: "/`, `tmp/spool"`],
      ["https://registry.", "npmjs.org/"],
      ["proxy.", "golang.org"],
    ].map((parts) => parts.join(""))) {
      expect(words(checkPlaces("a.md", `\n${text}`)).join()).toStartWith("2: a ");
    }
    for (const text of ["/var/tmp/x", ["src/work", "main.ts"].join("/"), "/var/log/nginx", "container registry"])
      expect(checkPlaces("a.md", text)).toEqual([]);
  });

  test("an address in the lockfile and a missing platform are found", () => {
    const lock = (packages: unknown): string => JSON.stringify({ packages }, null, 1);
    const whole = { "node_modules/a": { optionalDependencies: { "a-linux-x64": "1" } }, "node_modules/a-linux-x64": { integrity: "sha512-x" } };
    expect(checkLockfile("package-lock.json", lock(whole))).toEqual([]);
    expect(words(checkLockfile("package-lock.json", lock({ a: { resolved: "https://x/a.tgz" } }))).join()).toContain(
      "4: the lockfile holds an address",
    );
    const { "node_modules/a": a } = whole;
    expect(words(checkLockfile("package-lock.json", lock({ "node_modules/a": a }))).join()).toContain("run bun tool/lockfile.ts");
  });

  test("a link that leads nowhere is found, one in code is none", () => {
    const files = new Set(["docs/a.md", "docs/decisions/one.md", "README.md"]);
    const links = (text: string): string[] => words(checkLinks("docs/a.md", text, files));
    expect(links("[x](../README.md) [y](decisions/) [z](#here) [w](https://a.example/b) `[v](gone.md)`\n```\n[u](gone.md)\n```")).toEqual([]);
    expect(links("\n[x](gone.md#part)")).toEqual(["2: the link gone.md#part leads nowhere: mend it or add the file"]);
    expect(links("[x]: ../gone.md")).toHaveLength(1);
  });

  test("AGENTS.md has fewer than 80 lines", () => {
    expect(checkAgents("AGENTS.md", "x\n".repeat(79))).toEqual([]);
    expect(words(checkAgents("AGENTS.md", "x\n".repeat(80))).join()).toContain("80 lines");
  });
});
