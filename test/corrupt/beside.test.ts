/** What lies beside the segments, damaged one by one: checkpoints, identity, lock. The start goes on, and says what it found. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFile, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { systemDisk } from "../../src/core/disk.ts";
import { readIdentity } from "../../src/spool/identity.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { aftermathOf, flip, makeSpool, openIn, perSegment, put, range, refusal, segment, total } from "./damaged.ts";

let dir: Scratch;
beforeEach(async () => {
  dir = await scratch();
  await makeSpool(dir.path);
});
afterEach(() => dir[Symbol.asyncDispose]());

const all = { records: range(0, total), lost: [], position: total };
const both = ["positions.a", "positions.b"];

interface CheckpointJson {
  group: number;
  [key: string]: unknown;
}

async function checkpointOf(file: string): Promise<CheckpointJson> {
  return JSON.parse((await readFile(dir.join(file), "utf8")).slice(9)) as CheckpointJson;
}

async function newestCheckpoint(): Promise<string> {
  const [a, b] = [await checkpointOf("positions.a"), await checkpointOf("positions.b")];
  return a.group > b.group ? "positions.a" : "positions.b";
}

async function writeChecked(file: string, value: unknown): Promise<void> {
  const json = JSON.stringify(value);
  await writeFile(dir.join(file), `${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}\n`);
}

for (const [what, damage] of [
  ["flipped in one byte", (path: string) => flip(path, 40)],
  ["torn", (path: string) => truncate(path, 30)],
] as const) {
  test(`the newest checkpoint ${what}: the other one and the commits hold the same`, async () => {
    await damage(dir.join(await newestCheckpoint()));
    const after = await aftermathOf(dir.path);
    expect(after.verified).toEqual([expect.stringMatching(/^positions\.[ab] spool_checkpoint_damaged$/)]);
    // One of two is what a power cut leaves: counted, and no reason to call anybody.
    expect(after).toMatchObject({ ...all, health: [], counts: { spool_checkpoint_damaged: 1 } });
  });
}

for (const [what, damage] of [
  ["empty", (path: string) => truncate(path, 0)],
  ["lost", (path: string) => rm(path)],
] as const) {
  test(`the newest checkpoint ${what}: the other one and the commits hold the same`, async () => {
    await damage(dir.join(await newestCheckpoint()));
    expect(await aftermathOf(dir.path)).toMatchObject({ ...all, verified: [], health: [] });
  });
}

test("both checkpoints damaged: kept, said, and positions come from the commits that are held", async () => {
  for (const file of both) await flip(dir.join(file), 40);
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual(both.map((file) => `${file} spool_checkpoint_damaged`));
  expect(after).toMatchObject(all);
  expect(after.health).toEqual(["spool_checkpoint_damaged", "spool_positions_lost"]);
  expect(after.quarantine).toEqual(["positions-lost.txt", "positions.a-0.bin", "positions.b-0.bin"]);
});

test("the very first checkpoint torn by a crash, before there is another: all commits are held, and nothing is said to be lost", async () => {
  await rm(dir.join("positions.b"), { force: true });
  await truncate(dir.join("positions.a"), 30);
  const after = await aftermathOf(dir.path);
  expect(after).toMatchObject({ ...all, health: [], quarantine: [], counts: { spool_checkpoint_damaged: 1 } });
});

test("the only checkpoint damaged, and commits it covered are gone: kept and said", async () => {
  await rm(dir.join("positions.b"), { force: true });
  await truncate(dir.join("positions.a"), 30);
  await rm(segment(dir.path, 1));
  const after = await aftermathOf(dir.path);
  expect(after.health).toEqual(["spool_checkpoint_damaged", "spool_positions_lost"]);
  expect(after.quarantine).toEqual(["positions-lost.txt", "positions.a-0.bin"]);
});

test("both checkpoints lost with the oldest segment: what the commits no longer hold is said to be lost", async () => {
  for (const file of both) await rm(dir.join(file));
  await rm(segment(dir.path, 1));
  const after = await aftermathOf(dir.path);
  expect(after.records).toEqual(range(perSegment, total));
  expect(after.health).toEqual(["spool_positions_lost"]);
  expect(after.position).toBe(total);
});

test("a checkpoint put back from an older state: newer commits win", async () => {
  const old = (await newestCheckpoint()) === "positions.a" ? "positions.b" : "positions.a";
  await copyFile(dir.join(old), dir.join(await newestCheckpoint()));
  expect(await aftermathOf(dir.path)).toMatchObject({ ...all, health: [] });
});

test("a checkpoint ahead of the segments: numbers are not given twice, and what is missing is said", async () => {
  const newest = await newestCheckpoint();
  const value = await checkpointOf(newest);
  await writeChecked(newest, { ...value, group: value.group + 5, next_sequence: total + 50 });
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual(["0000000000000003.zst spool_segment_missing"]);
  expect(after.records).toEqual(range(0, total));
  expect(after.lost).toEqual(range(total, total + 50));
  expect(after.health).toEqual(["spool_segment_missing"]);
});

for (const value of [
  null,
  7,
  [],
  {},
  { format: 1 },
  { format: 1, group: 1, next_sequence: 1, raw_bytes: 1, positions: { app: null } },
  { format: 1, group: -1 },
]) {
  test(`a checkpoint with a right checksum over ${JSON.stringify(value)} is damage like any other`, async () => {
    for (const file of both) await writeChecked(file, value);
    expect(await aftermathOf(dir.path)).toMatchObject(all);
  });
}

test("a checkpoint of a later format is refused and names its writer", async () => {
  await writeChecked("positions.a", { format: 9, writer: "9.0.1", something: "else" });
  const fault = await refusal(dir.path);
  expect(fault.code).toBe("spool_future_format");
  expect(fault.message).toContain("logferry 9.0.1");
  expect(fault.hint).toContain("9.0.1");
});

test("spool.json torn: kept aside, and the id comes from the segments", async () => {
  const { spool_id } = JSON.parse(await readFile(dir.join("spool.json"), "utf8")) as { spool_id: string };
  await truncate(dir.join("spool.json"), 20);
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual(["spool.json spool_identity_damaged"]);
  expect(after).toMatchObject({ ...all, health: ["spool_identity_damaged"], quarantine: ["spool.json-0.bin"] });
  await using again = await openIn(dir.path);
  expect(again.spool.reader.id).toBe(spool_id);
});

test("spool.json lost: the id comes from the segments", async () => {
  const { spool_id } = JSON.parse(await readFile(dir.join("spool.json"), "utf8")) as { spool_id: string };
  await rm(dir.join("spool.json"));
  expect(await aftermathOf(dir.path)).toMatchObject({ ...all, health: [] });
  await using again = await openIn(dir.path);
  expect(again.spool.reader.id).toBe(spool_id);
});

test("a bit of spool.json flipped anywhere: never another id, never a format from the future", async () => {
  const whole = await readFile(dir.join("spool.json"));
  const { spool_id } = JSON.parse(whole.toString("utf8")) as { spool_id: string };
  for (const at of whole.keys()) {
    const flipped = Buffer.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    await writeFile(dir.join("spool.json"), flipped);
    const read = await readIdentity(systemDisk, dir.join("spool.json"));
    expect(read === "damaged" || read?.spool_id === spool_id).toBe(true);
  }
  await writeFile(dir.join("spool.json"), whole);
});

test("the id in spool.json changed by hand: it holds, and is said", async () => {
  const value = JSON.parse(await readFile(dir.join("spool.json"), "utf8")) as { spool_id: string; crc: string };
  await writeFile(dir.join("spool.json"), JSON.stringify({ ...value, spool_id: "f".repeat(32), crc: undefined }));
  const after = await aftermathOf(dir.path);
  expect(after).toMatchObject({ ...all, health: [], counts: { spool_id_changed: 1 } });
  await using again = await openIn(dir.path);
  expect(again.spool.reader.id).toBe("f".repeat(32));
  expect(again.board.counts()).toEqual({});
});

test("another machine's id: a new spool id, said once, and everything is read", async () => {
  await using before = await openIn(dir.path);
  await before.spool.close();
  const after = await aftermathOf(dir.path, "m2");
  expect(after).toMatchObject({ ...all, health: [], counts: { spool_copied: 1 } });
  await using again = await openIn(dir.path, "m2");
  expect(again.spool.reader.id).not.toBe(before.spool.reader.id);
  expect(again.board.counts()).toEqual({});
});

test("a copy that wrote nothing yet is not taken for one whose id was changed by hand", async () => {
  await (await openIn(dir.path, "m2")).spool.close();
  await using again = await openIn(dir.path, "m2");
  expect(again.board.counts()).toEqual({});
  await put(again.spool, total, 1);
});

test("spool.json of a later format is refused before anything is changed", async () => {
  await writeFile(dir.join("spool.json"), JSON.stringify({ format: 2, writer: "2.3.4", identity: "of another shape" }));
  const before = await readFile(dir.join("spool.json"), "utf8");
  const fault = await refusal(dir.path);
  expect(fault.code).toBe("spool_future_format");
  expect(fault.message).toContain("logferry 2.3.4");
  expect(await readFile(dir.join("spool.json"), "utf8")).toBe(before);
});

test("a lock file full of something else is made usable, and still keeps a second instance out", async () => {
  await writeFile(dir.join("lock"), "not a database at all ".repeat(500));
  await using first = await openIn(dir.path);
  const script = `import { takeLock } from "${import.meta.dir}/../../src/spool/lock.ts"; try { takeLock(process.argv[1] + "/lock"); } catch (fault) { console.log(fault.code); }`;
  expect(Bun.spawnSync([process.execPath, "-e", script, dir.path]).stdout.toString().trim()).toBe("spool_locked");
  expect(first.spool.reader.nextSequence()).toBe(total);
});

test("reserve and quarantine gone or full of something else are made anew", async () => {
  await rm(dir.join("quarantine"), { recursive: true });
  await writeFile(dir.join("reserve"), "short");
  expect(await aftermathOf(dir.path)).toMatchObject({ ...all, health: [] });
});
