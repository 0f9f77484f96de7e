/**
 * Every check there is: `npm run check` (format, lint, types, the tests beside the files and tidy) and `npm test`
 * (the same, then everything in test/ with the real servers and the real executable). `npm test -- WORD` runs the
 * test files whose path has WORD in it, and no other step.
 *
 * Promises: the last line is `N passed, N failed`, a step counting as one check; a test file that did not report
 * counts as failed; the exit code is 1 when anything failed. What fails shows its whole output.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { type Counts, readReport } from "./report.ts";
import { ensureChromium, ensurePackages } from "./packages.ts";
import { ensureVersitygw } from "./servers.ts";

const root = join(import.meta.dir, "..");
const reports = join(root, ".cache", "reports");
const bin = (name: string): string => join(root, "node_modules", ".bin", name);

/** What a test that hangs is given. Nothing else comes near it, on two slow cores with real servers. */
const testMsMax = 300_000;

interface Step {
  readonly name: string;
  run(): Promise<Counts>;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: "boolean", default: false } } });
  let passed = 0;
  let failed = 0;
  for (const step of steps(values.quick, positionals)) {
    const start = performance.now();
    const counts = await step.run();
    passed += counts.passed;
    failed += counts.failed;
    const verdict = counts.failed === 0 ? "ok    " : "FAILED";
    console.log(`${verdict} ${step.name.padEnd(24)} ${counts.passed} passed, ${counts.failed} failed`.padEnd(62), seconds(performance.now() - start));
  }
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

function steps(quick: boolean, words: readonly string[]): Step[] {
  const files = [...new Bun.Glob("{src,test,bench,tool}/**/*.test.{ts,tsx}").scanSync({ cwd: root })].sort();
  if (words.length > 0) {
    const wanted = files.filter((file) => words.some((word) => file.includes(word)));
    return [...prepare(wanted), ...testSteps(wanted)];
  }
  const habits = [
    tool("format", [bin("oxfmt"), "--check"]),
    tool("lint", [bin("oxlint"), "--type-aware", "--deny-warnings"]),
    tool("types", [bin("tsc"), "--noEmit"]),
  ];
  if (quick) return [...habits, ...testSteps(files.filter((file) => ["src", "test/tidy"].includes(groupOf(file))))];
  // One kind says whether the kernel has become slower; it takes a minute and disturbs nothing that waits for a condition.
  const count = tool("instructions", [process.execPath, join(root, "bench", "instructions.ts"), "access"]);
  return [...habits, ...prepare(files), ...testSteps(files), count];
}

/** What tests in test/ need and `bun test` cannot wait for within a test's time. */
function prepare(files: readonly string[]): Step[] {
  const groups = new Set(files.map(groupOf));
  const needs: [name: string, wanted: boolean, work: () => Promise<unknown>][] = [
    ["packages", [...groups].some((group) => group !== "test/tidy"), ensurePackages],
    ["versitygw", [...groups].some((group) => group.startsWith("test/") && group !== "test/tidy"), ensureVersitygw],
    ["chromium", groups.has("test/browser"), ensureChromium],
    ["build", [...groups].some((group) => group.startsWith("test/") && group !== "test/tidy"), ensureExecutable],
  ];
  return needs.filter(([, wanted]) => wanted).map(([name, , work]) => ({ name, run: () => attempt(work) }));
}

/** One `bun test` for each folder of test/, one for what lies beside the sources: what one leaves behind does not reach the next. */
function testSteps(files: readonly string[]): Step[] {
  const groups = Map.groupBy(files, groupOf);
  return [...groups].map(([name, members]) => ({ name, run: () => runTests(name, members) }));
}

function groupOf(file: string): string {
  const [top = "", folder = ""] = file.split("/");
  return top === "test" ? `test/${folder}` : top;
}

async function runTests(name: string, files: readonly string[]): Promise<Counts> {
  const report = join(reports, `${name.replaceAll("/", "-")}.xml`);
  mkdirSync(reports, { recursive: true });
  rmSync(report, { force: true });
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`];
  const { code, output } = await capture([
    process.execPath,
    "test",
    "--no-orphans",
    "--only-failures",
    `--timeout=${testMsMax}`,
    ...reporter,
    ...files.map((file) => `./${file}`),
  ]);
  const xml = (await Bun.file(report).exists()) ? await Bun.file(report).text() : "";
  const counts = readReport(xml, files);
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  // What a test could not do on this machine is said also when all is well: nothing is left out in silence.
  if (counts.failed === 0) for (const [line] of output.matchAll(/^!!! .*$/gm)) console.log(line);
  if (counts.failed > 0) console.log(`${output.trimEnd()}\n${counts.missing.map((file) => `no report from ${file}\n`).join("")}`);
  return counts;
}

function tool(name: string, command: readonly string[]): Step {
  return {
    name,
    async run() {
      const { code, output } = await capture(command);
      if (code !== 0) console.log(output.trimEnd());
      return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
    },
  };
}

async function attempt(work: () => Promise<unknown>): Promise<Counts> {
  try {
    await work();
    return { passed: 1, failed: 0 };
  } catch (cause) {
    console.log(cause instanceof Error ? cause.message : cause);
    return { passed: 0, failed: 1 };
  }
}

/** Runs `command` in the checkout; its two outputs as they came, one after the other. */
async function capture(command: readonly string[]): Promise<{ code: number; output: string }> {
  const child = Bun.spawn([...command], { cwd: root, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  return { code, output: `${out}${err}` };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1).padStart(7)} s`;
}

await main();
