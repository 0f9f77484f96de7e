/**
 * A damaged journal, one way a test, with the real executable: it is made anew from what the far side has; while that is away its
 * sink holds and says so, the other delivers, and nothing arrives twice.
 */
import { expect, test } from "bun:test";
import { appendFile, cp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const lines = 500;
const batch = { bytes_max: "16KiB", age_max: "100ms" };

const text = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `w=app n=${from + i} some words to make it a line of a log\n`).join("");

const sinkOf = (dir: Scratch, name: string): object => ({ type: "directory", dir: dir.join(name), batch });

/** A spool in which two sinks have delivered the first lines. */
async function prepare(dir: Scratch): Promise<{ config: string; journal: string }> {
  await writeFile(dir.join("app.log"), text(0, lines));
  const config = await writeConfig(dir.path, {
    // Delivered segments stay: what a sink that began anew would ship again is there.
    spool: { retain: "1h" },
    sources: { app: { type: "file", include: [dir.join("app.log")] } },
    sinks: { hurt: sinkOf(dir, "hurt"), well: sinkOf(dir, "well") },
  });
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  return { config, journal: dir.join("spool", "sinks", "hurt.journal") };
}

const damages: Record<string, { code: string; hurt: (journal: string) => Promise<unknown> }> = {
  emptied: { code: "journal_damaged", hurt: (journal) => truncate(journal, 0) },
  "torn in its first line": { code: "journal_damaged", hurt: (journal) => truncate(journal, 20) },
  "overwritten with noise": { code: "journal_damaged", hurt: (journal) => writeFile(journal, "noise\n".repeat(200)) },
  lost: { code: "journal_lost", hurt: (journal) => rm(journal) },
};

/** The journal is hurt and the folder its sink writes to is away: the sink holds, the other one delivers. */
async function hold(dir: Scratch, config: string, journal: string, { code, hurt }: { code: string; hurt: (journal: string) => Promise<unknown> }) {
  await cp(journal, dir.join("backup"));
  await hurt(journal);
  const verified = await logferry(["spool", "verify", "--dir", dir.join("spool")]);
  expect(verified.code).toBe(1);
  expect(verified.stdout).toContain(`hurt.journal: byte 0: ${code}`);
  await rename(dir.join("hurt"), dir.join("away"));
  await appendFile(dir.join("app.log"), text(lines, 2 * lines));
  const running = startLogferry(config, dir.join("control.sock"));
  await running.ready();
  await until(async () => (await running.status()).sinks["well"]?.delivered_sequence === 2 * lines - 1, "the other sink delivers");
  await until(async () => (await running.health()).reasons.length === 2, "it is said why");
  const health = await running.health();
  expect(health.state).toBe("failing");
  expect(health.reasons.map((reason) => [reason.component, reason.code])).toEqual([
    ["sinks.hurt", code],
    ["sinks.hurt", "directory_missing"],
  ]);
  const status = (await running.status()).sinks["hurt"];
  expect(status).toMatchObject({ delivered_sequence: -1, batches: 0, last_fault: { code: "directory_missing" } });
  expect(lostAndRepeated(await readLake(dir.join("well")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
  return running;
}

for (const [what, damage] of Object.entries(damages)) {
  test(`a journal ${what}: made anew once the far side is there, and nothing arrives twice`, async () => {
    await using dir = await scratch();
    const { config, journal } = await prepare(dir);
    await using running = await hold(dir, config, journal, damage);
    await rename(dir.join("away"), dir.join("hurt"));
    await until(async () => (await running.status()).sinks["hurt"]?.delivered_sequence === 2 * lines - 1, "the sink goes on by itself");
    expect((await running.health()).state).toBe("ok");
    expect((await running.status()).faults).toMatchObject({ journal_rebuilt: 1 });
    expect(await running.stop()).toBe(0);
    expect(lostAndRepeated(await readLake(dir.join("hurt")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
    expect((await logferry(["spool", "verify", "--dir", dir.join("spool")])).code).toBe(0);
  }, 120_000);
}

test("a lost journal that is put back is used as it is", async () => {
  await using dir = await scratch();
  const { config, journal } = await prepare(dir);
  await using running = await hold(dir, config, journal, damages["lost"]!);
  await cp(dir.join("backup"), journal);
  await rename(dir.join("away"), dir.join("hurt"));
  await until(async () => (await running.status()).sinks["hurt"]?.delivered_sequence === 2 * lines - 1, "the sink goes on by itself");
  expect((await running.status()).faults["journal_rebuilt"]).toBeUndefined();
  expect((await running.health()).state).toBe("ok");
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("hurt")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 120_000);

test("a lost journal and a far side that stays away: the run drains, ends with 3, and what the sink needs is kept", async () => {
  await using dir = await scratch();
  const { config, journal } = await prepare(dir);
  await rm(journal);
  await rename(dir.join("hurt"), dir.join("away"));
  await appendFile(dir.join("app.log"), text(lines, 2 * lines));
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(3);
  expect(lostAndRepeated(await readLake(dir.join("well")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
  const cat = await logferry(["spool", "cat", "--dir", dir.join("spool")]);
  expect(cat.stdout.trimEnd().split("\n").length).toBe(2 * lines);
  await rename(dir.join("away"), dir.join("hurt"));
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("hurt")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 120_000);

test("a torn last line is cut off: it is what a crash leaves", async () => {
  await using dir = await scratch();
  const { config, journal } = await prepare(dir);
  await appendFile(journal, '12345678 {"kind":"deliv');
  expect((await logferry(["spool", "verify", "--dir", dir.join("spool")])).code).toBe(0);
  await appendFile(dir.join("app.log"), text(lines, 2 * lines));
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("hurt")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 120_000);

test("a flipped byte in the middle of a journal costs no record: counted, named by verify, and the rest is used", async () => {
  await using dir = await scratch();
  const { config, journal } = await prepare(dir);
  const bytes = await readFile(journal);
  const middle = bytes.indexOf('"kind":"planned"');
  bytes[middle + 8] = 0x00;
  await writeFile(journal, bytes);
  const verified = await logferry(["spool", "verify", "--dir", dir.join("spool")]);
  expect(verified.code).toBe(1);
  expect(verified.stdout).toMatch(/^hurt\.journal: byte \d+: journal_damaged/m);
  await appendFile(dir.join("app.log"), text(lines, 2 * lines));
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("hurt")), { app: 2 * lines })).toEqual({ lost: 0, repeated: 0, foreign: 0 });
}, 120_000);

test("a journal of a later format is refused and names the version that wrote it", async () => {
  await using dir = await scratch();
  const { config, journal } = await prepare(dir);
  const json = JSON.stringify({ kind: "head", format: 4, written_by: "4.5.6", more: ["unknown"] });
  await writeFile(journal, `${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}\n`);
  const { code, stderr } = await logferry(["run", "--once", "--config", config]);
  expect(code).toBe(1);
  expect(stderr).toContain("written by logferry 4.5.6");
}, 60_000);

test("a damaged spool under the real executable: verify names the files, cat prints the rest, the run ships it", async () => {
  await using dir = await scratch();
  const { config } = await prepare(dir);
  const segment = dir.join("spool", "segments", "0000000000000001.zst");
  const bytes = await readFile(segment);
  // The first payload begins with zstd's magic number.
  const at = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd])) + 30;
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  await writeFile(segment, bytes);
  const verified = await logferry(["spool", "verify", "--dir", dir.join("spool")]);
  expect(verified.code).toBe(1);
  expect(verified.stdout).toContain("0000000000000001.zst: byte ");
  expect((await logferry(["spool", "cat", "--dir", dir.join("spool")])).code).toBe(0);
  // A sink under a new name begins with the oldest record: it meets the damage.
  const value = JSON.parse(await readFile(config, "utf8")) as { sinks: Record<string, object> };
  value.sinks["late"] = sinkOf(dir, "late");
  await writeFile(config, JSON.stringify(value));
  await appendFile(dir.join("app.log"), text(lines, 2 * lines));
  await using running = startLogferry(config, dir.join("control.sock"));
  await running.ready();
  await until(async () => (await running.status()).sinks["late"]?.delivered_sequence === 2 * lines - 1, "the new sink is through");
  const { state, reasons } = await running.health();
  expect({ state, codes: reasons.map(({ code }) => code) }).toEqual({ state: "degraded", codes: ["spool_frame_corrupt"] });
  expect((await running.status()).faults["spool_frame_corrupt"]).toBe(1);
  expect(await running.stop()).toBe(0);
  const { lost, repeated, foreign } = lostAndRepeated(await readLake(dir.join("late")), { app: 2 * lines });
  expect({ repeated, foreign }).toEqual({ repeated: 0, foreign: 0 });
  // One frame, here the whole first group.
  expect(lost).toBeGreaterThan(0);
  expect(lost).toBeLessThanOrEqual(lines);
}, 120_000);
