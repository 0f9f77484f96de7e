/** The closing line must not be able to lie: reports made by the real `bun test`. */
import { expect, test } from "bun:test";
import { runProcess } from "../test/support/process.ts";
import { scratch } from "../test/support/scratch.ts";
import { readReport } from "./report.ts";

async function reportOf(files: Record<string, string>): Promise<ReturnType<typeof readReport>> {
  await using dir = await scratch();
  for (const [name, text] of Object.entries(files)) await Bun.write(dir.join(name), `import { describe, expect, test } from "bun:test";\n${text}`);
  const names = Object.keys(files);
  await runProcess([process.execPath, "test", "--reporter=junit", "--reporter-outfile=report.xml", ...names.map((name) => `./${name}`)], {
    cwd: dir.path,
  });
  const report = Bun.file(dir.join("report.xml"));
  return readReport((await report.exists()) ? await report.text() : "", names);
}

test("sums passed, failed and skipped tests, nested suites and marks in names", async () => {
  const counts = await reportOf({
    "a.test.ts": `test("<tests=\\"9\\">", () => {}); describe("in", () => { test("b", () => {}); test("c", () => expect(1).toBe(2)); });`,
    "b.test.ts": `test("a", () => {}); test["skip"]("b", () => {});`,
  });
  expect(counts).toEqual({ passed: 3, failed: 1, missing: [] });
});

test("a file that cannot be loaded has failed although the report does not name it", async () => {
  const counts = await reportOf({ "a.test.ts": `import "./absent.ts"; test("a", () => {});`, "b.test.ts": `test("a", () => {});` });
  expect(counts).toEqual({ passed: 1, failed: 1, missing: ["a.test.ts"] });
});

test("a run that exits in the middle has failed", async () => {
  expect(await reportOf({ "a.test.ts": `test("a", () => process.exit(0));` })).toEqual({ passed: 0, failed: 1, missing: ["a.test.ts"] });
});
