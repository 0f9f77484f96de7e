/** `check` names rotated files that no glob takes, with the glob that would. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import * as v from "valibot";
import { scratch } from "../../../test/support/scratch.ts";
import { systemDoors } from "../../core/doors.ts";
import type { Finding } from "../../core/contract.ts";
import { schema } from "./config.ts";
import { file } from "./source.ts";

async function checked(names: readonly string[], include: readonly string[], more: Record<string, unknown> = {}): Promise<Finding[]> {
  await using dir = await scratch();
  for (const name of names) {
    mkdirSync(resolve(dir.join(name), ".."), { recursive: true });
    writeFileSync(dir.join(name), "");
  }
  const config = v.parse(schema, { type: "file", include: include.map((glob) => dir.join(glob)), ...more });
  const findings = await file.check(config, { name: "app", host: "edge-1", doors: systemDoors });
  return findings.map(({ message, hint, ...rest }) => ({
    ...rest,
    ...(message === undefined ? {} : { message: message.replaceAll(`${dir.path}/`, "") }),
    ...(hint === undefined ? {} : { hint: hint.replaceAll(`${dir.path}/`, "") }),
  }));
}

/** Message and hint of what is advised. */
async function advised(names: readonly string[], include: readonly string[], more: Record<string, unknown> = {}): Promise<string[]> {
  const findings = await checked(names, include, more);
  const advice = findings.filter(({ code }) => code === "file_rotated_outside");
  expect(advice.every(({ ok }) => ok)).toBe(true);
  return advice.map(({ message, hint }) => `${message} → ${/^add (".*") to include/.exec(hint ?? "")?.[1]}`);
}

test("numbers, dates and compressed ones behind the name: a star behind the pattern", async () => {
  expect(await advised(["app.log", "app.log.1", "app.log-20261123", "app.log.2.gz", "app.log.old", "db.log"], ["app.log"])).toEqual([
    `4 files look rotated and match no glob: app.log-20261123, app.log.1, app.log.2.gz and 1 more → "app.log*"`,
  ]);
  expect(await advised(["x/a.log", "x/b.log", "x/a.log.1", "x/b.log.1"], ["x/*.log"])).toEqual([
    `2 files look rotated and match no glob: x/a.log.1, x/b.log.1 → "x/*.log*"`,
  ]);
  expect(await advised(["x/y/a.log", "x/y/a.log.1"], ["**/*.log"])).toEqual([`1 file looks rotated and matches no glob: x/y/a.log.1 → "**/*.log*"`]);
});

test("a date or number before the ending: a star there", async () => {
  expect(await advised(["app.log", "app-2026-11-23.log", "app.1.log"], ["app.log"])).toEqual([
    `2 files look rotated and match no glob: app-2026-11-23.log, app.1.log → "app[-._]*.log"`,
  ]);
  expect(await advised(["app.log", "app-20261123.log.gz"], ["app.log"])).toEqual([
    `1 file looks rotated and matches no glob: app-20261123.log.gz → "app[-._]*.log*"`,
  ]);
});

test("what is taken already, left out on purpose, cannot be read, or is another log is not named", async () => {
  expect(await advised(["app.log", "app.log.1"], ["app.log*"])).toEqual([]);
  expect(await advised(["app.log", "app.log.1"], ["app.log"], { exclude: ["*.1"] })).toEqual([]);
  expect(await advised(["app.log", "app.log.1.bz2", "app.logs", "application.log", "app.log.1/inner"], ["app.log"])).toEqual([]);
  expect(await advised(["node-1.log", "node-2.log"], ["node-1.log"])).toEqual([]);
  expect(await advised(["syslog", "syslog-extra", "auth.log"], ["syslog"])).toEqual([]);
});

test("the glob it names takes them, and then there is nothing to say", async () => {
  const names = ["a.log", "a.log.1", "a-20261101.log", "a-20261102.log.gz", "web/b.log", "web/b.log.2"];
  const first = ["a.log", "web/*.log"];
  const globs = (await advised(names, first)).map((text) => JSON.parse(/→ (".*")$/.exec(text)?.[1] ?? "") as string);
  expect(globs.length).toBeGreaterThan(1);
  expect(await advised(names, [...first, ...globs])).toEqual([]);
});
