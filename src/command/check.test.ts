/** `check` on real files: what it says and how it ends. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { testIo } from "../../test/support/io.ts";
import { scratch } from "../../test/support/scratch.ts";
import { run } from "./check.ts";

async function checked(
  content: (folder: string) => string,
  options: { json?: boolean; offline?: boolean } = {},
): Promise<{ exit: number; out: string; folder: string }> {
  await using dir = await scratch();
  await writeFile(dir.join("l.yaml"), content(dir.path));
  await mkdir(dir.join("data"));
  const io = testIo();
  const exit = await run({ config: dir.join("l.yaml"), ...options }, io);
  expect(io.err()).toBe("");
  return { exit, out: io.out().replaceAll(dir.path, "DIR"), folder: dir.path };
}
const right = (folder: string): string => `sources: { app: { type: stdin } }\nsinks:\n  disk: { type: directory, dir: ${folder}/data }\n`;
const file = (folder: string): string => `sources: { app: { type: stdin } }\nsinks:\n  disk: { type: directory, dir: ${folder}/l.yaml }\n`;

test("what would work is said, with exit 0", async () => {
  const { exit, out } = await checked(right);
  expect(exit).toBe(0);
  expect(out).toStartWith("DIR/l.yaml: no mistakes; 1 source, 1 sink\n");
  expect(out).toContain("✓ sinks.disk");
  expect(out).toEndWith("all of them would work\n");
});

test("what would not work is said with its code and hint, with exit 1; for machines with its line", async () => {
  const { exit, out } = await checked(file);
  expect(exit).toBe(1);
  expect(out).toContain("✗ sinks.disk");
  expect(out).toContain("→ ");
  expect(out).toEndWith("1 of 2 would not work\n");
  const json = await checked(file, { json: true });
  expect(json.exit).toBe(1);
  expect(JSON.parse(json.out)).toEqual([
    {
      file: "DIR/l.yaml",
      line: 3,
      column: 3,
      path: "sinks.disk",
      code: expect.stringMatching(/^[a-z_]+$/),
      message: expect.any(String),
      hint: expect.stringMatching(/./),
    },
  ]);
});

test("offline asks nobody", async () => {
  expect(await checked(file, { offline: true })).toMatchObject({ exit: 0, out: "DIR/l.yaml: no mistakes; 1 source, 1 sink\n" });
  expect(await checked(right, { json: true })).toMatchObject({ exit: 0, out: "[]\n" });
});

test("mistakes come all at once, with exit 2", async () => {
  const wrong = (): string => "hots: a\nsources: { app: { type: stdin } }\nsinks: { disk: { type: directori } }\n";
  const text = await checked(wrong);
  expect(text.exit).toBe(2);
  expect(text.out.split("\n")).toEqual([
    "DIR/l.yaml:1: hots: unknown key `hots` — did you mean `host`?",
    expect.stringContaining("DIR/l.yaml:3: sinks.disk.type: unknown sink type `directori`"),
    "2 mistakes in the configuration",
    "",
  ]);
  const json = await checked(wrong, { json: true });
  expect(json.exit).toBe(2);
  expect((JSON.parse(json.out) as unknown[])[0]).toEqual({
    file: "DIR/l.yaml",
    line: 1,
    column: 1,
    path: "hots",
    code: "config_unknown_key",
    message: "unknown key `hots`",
    hint: "did you mean `host`?",
  });
});

test("advice is no failure: said with its hint, exit 0, and told apart for machines", async () => {
  const rotated = (folder: string): string =>
    `sources: { app: { type: file, include: [${folder}/app.log] } }\nsinks:\n  disk: { type: directory, dir: ${folder}/data }\n`;
  const prepared = (folder: string): string => {
    writeFileSync(`${folder}/app.log`, "");
    writeFileSync(`${folder}/app.log.1`, "");
    return rotated(folder);
  };
  const { exit, out } = await checked(prepared);
  expect(exit).toBe(0);
  expect(out).toContain("! sources.app  look for rotated files that no glob takes\n");
  expect(out).toContain("file_rotated_outside: 1 file looks rotated and matches no glob: DIR/app.log.1\n");
  expect(out).toContain('→ add "DIR/app.log*" to include');
  expect(out).toEndWith("all of them would work\n");
  const json = await checked(prepared, { json: true });
  expect(json.exit).toBe(0);
  expect(JSON.parse(json.out)).toMatchObject([{ severity: "advice", path: "sources.app", code: "file_rotated_outside" }]);
});
