/** The style of the house, held: each rule over the whole checkout. The rules themselves are tested in rules.test.ts. */
import { expect, test } from "bun:test";
import { checkBanned, checkWords } from "./banned.ts";
import { checkFaults, faultCodes, guide } from "./fault.ts";
import { checkImports } from "./imports.ts";
import { checkNames } from "./name.ts";
import { checkHead, checkSize } from "./size.ts";
import { type Violation, listFiles, readSources, readText } from "./source.ts";
import { checkAgents, checkLinks, checkLockfile, checkPlaces } from "./text.ts";

const files = listFiles();
const sources = readSources(files);
const manifest = JSON.parse(readText("package.json")) as { dependencies: Record<string, string> };
const texts = files.filter((path) => !/\.(?:png|ico|zst|gz|bin|woff2?)$|(?:^|\/)package-lock\.json$/.test(path));
/** The rules and their examples have to name what they forbid. */
const rules = /^test\/tidy\//;

/** One line for each violation, so that the whole list shows at once. */
function hold(violations: readonly Violation[]): void {
  expect(violations.map(({ path, line, message }) => `${path}:${line}: ${message}`).join("\n")).toBe("");
}

test("imports follow the table", () => hold(sources.flatMap((source) => checkImports(source, new Set(Object.keys(manifest.dependencies))))));

test("files and functions are short", () => hold(sources.flatMap(checkSize)));

test("every source file opens with a docstring", () => hold(sources.flatMap(checkHead)));

test("nothing goes round the doors, the log and main.ts", () => hold(sources.flatMap(checkBanned)));

test("no work is left undone and no test left out", () =>
  hold(sources.filter(({ path }) => !rules.test(path)).flatMap(({ path, text }) => checkWords(path, text))));

test("registry entries, folders and types have one name", async () => {
  const { sourceKinds } = await import("../../src/source/registry.ts");
  const { sinkKinds } = await import("../../src/sink/registry.ts");
  hold([...checkNames("source", foldersOf("source"), sourceKinds), ...checkNames("sink", foldersOf("sink"), sinkKinds)]);
});

test("every fault code has its row in the operating guide", () => hold(checkFaults(faultCodes(sources), readText(guide))));

test("no path of a machine and no registry is named", () => {
  hold(texts.filter((path) => !rules.test(path)).flatMap((path) => checkPlaces(path, readText(path))));
});

test("the lockfile has no addresses", () => hold(checkLockfile("package-lock.json", readText("package-lock.json"))));

test("relative links lead somewhere", () => {
  const all = new Set(files);
  hold(files.filter((path) => path.endsWith(".md")).flatMap((path) => checkLinks(path, readText(path), all)));
});

test("AGENTS.md is short", () => hold(checkAgents("AGENTS.md", readText("AGENTS.md"))));

/** Names below `src/{stage}/` that are folders. */
function foldersOf(stage: string): string[] {
  return [...new Set(files.map((path) => new RegExp(`^src/${stage}/([^/]+)/`).exec(path)?.[1]).filter((name) => name !== undefined))];
}
