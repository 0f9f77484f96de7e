/** The journal on a real disk: what was appended is there after any tear, and damage costs a line. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemDisk, type Disk, type DiskFile } from "../core/disk.ts";
import { systemDoors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";
import { Journal, type JournalOptions } from "./journal.ts";
import type { Entry, Plan } from "./ledger.ts";

let folder = "";
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "logferry-journal-"));
});
afterAll(() => rm(folder, { recursive: true }));

const spoolId = "0123456789abcdef0123456789abcdef";
const options = (more: Partial<JournalOptions> = {}): JournalOptions => ({
  path: join(folder, `${count++}.journal`),
  sink: "lake",
  spoolId,
  doors: systemDoors,
  onFault: () => {},
  ...more,
});

const plan = (id: number, first: number, last: number): Plan => ({
  id,
  lane: "env=ä%C3",
  number: id,
  epoch: "00000001",
  name: `edge-${first}`,
  ranges: [[first, last]],
  records: last - first + 1,
  codec: "zstd",
  encoder: "copy/1",
  bytes: 10,
  digest: "a".repeat(64),
  min_ms: 5,
});
const planned = (id: number, first: number, last: number): Entry => ({ kind: "planned", ...plan(id, first, last) });

/** A journal with batches 0 (delivered), 1 (planned, with a note) and 2 (delivered ahead of 1). */
async function written(given: JournalOptions): Promise<void> {
  const journal = await Journal.open(given);
  expect(journal.isNew).toBe(true);
  await journal.append({ kind: "passed", low: 0 }, { kind: "opened", spool_epoch: "00000001", epoch: "00000001" });
  await Promise.all([journal.append(planned(0, 0, 9)), journal.append(planned(1, 10, 19)), journal.append(planned(2, 20, 29))]);
  await journal.append({ kind: "delivered", id: 0, low: 10, ranges: [[0, 9]], state: ["a", 1] }, { kind: "note", id: 1, note: { upload: "ü" } });
  await journal.append({ kind: "delivered", id: 2, low: 10, ranges: [[20, 29]] });
  await journal.close();
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "",
    (cause: unknown) => (cause instanceof Fault ? cause.code : String(cause)),
  );

test("gives back what was appended, also after it was compacted", async () => {
  const given = options();
  await written(given);
  for (let round = 0; round < 3; round++) {
    const journal = await Journal.open(given);
    expect(journal.isNew).toBe(false);
    expect(journal.ledger.low).toBe(10);
    expect(journal.ledger.above).toEqual([[20, 29]]);
    expect([...journal.ledger.plans.values()]).toEqual([plan(1, 10, 19)]);
    expect(journal.ledger.notes.get(1)).toEqual({ upload: "ü" });
    expect(journal.ledger.state).toEqual(["a", 1]);
    expect(journal.ledger.nextId).toBe(3);
    expect(journal.ledger.opened).toEqual({ spoolEpoch: "00000001", epoch: "00000001" });
    await journal.append({ kind: "passed", low: 10 }); // the first append writes the file anew
    await journal.close();
  }
});

test("whatever byte it was torn at, what was read before is a beginning of what was written, and appends go on", async () => {
  const whole = options();
  await written(whole);
  const bytes = await readFile(whole.path);
  const lowAt = bytes.indexOf("passed");
  const firstEnd = bytes.indexOf(10, lowAt);
  for (let cut = firstEnd + 1; cut < bytes.byteLength; cut += 7) {
    const given = options();
    await writeFile(given.path, bytes.subarray(0, cut));
    const journal = await Journal.open(given);
    expect(journal.damaged).toBe(0);
    const plans = [...journal.ledger.plans.keys()];
    await journal.append(planned(9, 90, 99));
    await journal.close();
    expect([...(await Journal.open(given)).ledger.plans.keys()]).toEqual([...plans, 9]);
  }
});

test("a damaged line costs that line, is counted, and the file is kept beside", async () => {
  const given = options();
  await written(given);
  const bytes = await readFile(given.path);
  const at = bytes.indexOf('"planned","id":2');
  bytes[at] = 0;
  await writeFile(given.path, bytes);
  const journal = await Journal.open(given);
  expect(journal.damaged).toBe(1);
  // Its `delivered` says what was in it: nothing is planned twice.
  expect(journal.ledger.above).toEqual([[20, 29]]);
  expect([...journal.ledger.plans.keys()]).toEqual([1]);
  expect(await readdir(folder)).toContain(`${count - 1}.journal.damaged`);
});

test("a journal without a position in it holds the sink instead of delivering everything again", async () => {
  const given = options();
  await writeFile(given.path, "\0".repeat(4096));
  expect(await codeOf(Journal.open(given))).toBe("journal_damaged");
  await writeFile(given.path, "");
  expect(await codeOf(Journal.open(given))).toBe("journal_damaged");
});

test("a format from the future is refused with the version that wrote it", async () => {
  const given = options();
  const json = JSON.stringify({ kind: "head", format: 2, written_by: "9.1.0", sink: "lake", spool: spoolId });
  await writeFile(given.path, `${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}\n`);
  const refused = await Journal.open(given).catch((cause: unknown) => cause);
  expect(refused).toMatchObject({ code: "journal_format_unknown", retry: "never" });
  expect(String(refused)).toContain("9.1.0");
});

test("the journal of a copied spool says whose it was", async () => {
  const given = options();
  await written(given);
  const journal = await Journal.open({ ...given, spoolId: "f".repeat(32) });
  expect(journal.copiedFrom).toBe(spoolId);
  expect(journal.ledger.low).toBe(10);
});

test("is compacted when it is mostly history", async () => {
  const given = options();
  const journal = await Journal.open(given);
  await journal.append({ kind: "passed", low: 0 });
  let largest = 0;
  for (let round = 0; round < 60; round++) {
    const entries: Entry[] = [];
    for (let id = round * 100; id < round * 100 + 100; id++)
      entries.push(planned(id, id, id), { kind: "delivered", id, low: id + 1, ranges: [[id, id]] });
    await journal.append(...entries);
    largest = Math.max(largest, (await readFile(given.path)).byteLength);
  }
  await journal.close();
  expect(largest).toBeLessThan(1.2 * 1024 * 1024);
  expect((await readFile(given.path)).byteLength).toBeLessThan(1.2 * 1024 * 1024);
  expect((await Journal.open(given)).ledger).toMatchObject({ low: 6000, above: [], nextId: 6000 });
  expect(await readdir(folder)).not.toContain(`${count - 1}.journal.tmp`);
});

/** The system's disk, whose files fail as told. */
function failing(next: () => { write?: string; sync?: string }): Disk {
  return {
    ...systemDisk,
    async open(path, mode, permissions): Promise<DiskFile> {
      const file = await systemDisk.open(path, mode, permissions);
      const error = (code: string) => Object.assign(new Error(code), { code });
      return {
        path,
        read: (into, position) => file.read(into, position),
        truncate: (bytes) => file.truncate(bytes),
        stat: () => file.stat(),
        close: () => file.close(),
        [Symbol.asyncDispose]: () => file.close(),
        async write(parts, position) {
          const code = next().write;
          if (code === undefined) return file.write(parts, position);
          await file.write([(parts[0] ?? new Uint8Array()).subarray(0, 20)], position); // short, as at ENOSPC
          throw error(code);
        },
        async datasync() {
          const code = next().sync;
          if (code !== undefined) throw error(code);
          return file.datasync();
        },
      };
    },
  };
}

test("no space: raised, tried again until there is some, and nothing counts as written before", async () => {
  let full = false;
  const faults: (string | undefined)[] = [];
  const doors = {
    ...systemDoors,
    disk: failing(() => (full ? { write: "ENOSPC" } : {})),
    clock: { ...systemDoors.clock, sleep: () => Bun.sleep(1) },
  };
  const given = options({ doors, onFault: (fault) => faults.push(fault?.code) });
  const journal = await Journal.open(given);
  await journal.append({ kind: "passed", low: 0 });
  full = true;
  let done = false;
  const append = journal.append(planned(0, 0, 9)).then(() => (done = true));
  while (faults.length < 3) await Bun.sleep(1);
  expect(done).toBe(false);
  expect(journal.ledger.plans.size).toBe(0);
  full = false;
  await append;
  expect(faults.at(0)).toBe("journal_no_space");
  expect(faults.at(-1)).toBeUndefined();
  await journal.close();
  expect((await Journal.open(given)).ledger.plans.size).toBe(1);
});

test("no space: whoever has something to give up is asked before the next try, also for a new journal", async () => {
  let full = true;
  let asked = 0;
  const doors = {
    ...systemDoors,
    disk: failing(() => (full ? { write: "EDQUOT" } : {})),
    clock: { ...systemDoors.clock, sleep: () => Bun.sleep(1) },
  };
  const makeRoom = async (): Promise<void> => {
    asked++;
    full = false;
  };
  const journal = await Journal.open(options({ doors, makeRoom }));
  await journal.create(0);
  full = true;
  await journal.append(planned(0, 0, 9));
  expect(asked).toBe(2);
  await journal.close();
  full = true;
  const other = await Journal.open(options({ doors, path: `${options().path}.other` }));
  await expect(other.create(0)).rejects.toMatchObject({ code: "journal_no_space" });
});

test("a failed sync: the file is written anew, not built on", async () => {
  let fail = 0;
  const doors = {
    ...systemDoors,
    disk: failing(() => (fail > 0 && fail-- > 0 ? { sync: "EIO" } : {})),
    clock: { ...systemDoors.clock, sleep: () => Bun.sleep(1) },
  };
  const given = options({ doors });
  const journal = await Journal.open(given);
  await journal.append({ kind: "passed", low: 0 }, planned(0, 0, 9));
  const inode = (await systemDisk.stat(given.path))?.inode;
  fail = 2; // the write asks once, the sync once
  await journal.append(planned(1, 10, 19));
  expect((await systemDisk.stat(given.path))?.inode).not.toBe(inode);
  await journal.close();
  expect([...(await Journal.open(given)).ledger.plans.keys()]).toEqual([0, 1]);
});

test("closed, it ends the tries and refuses appends", async () => {
  const doors = { ...systemDoors, disk: failing(() => ({ write: "EROFS" })) };
  const journal = await Journal.open(options({ doors }));
  const waiting = codeOf(journal.append({ kind: "passed", low: 0 }));
  await Bun.sleep(5);
  await journal.close();
  expect(await waiting).toBe("journal_closed");
  expect(await codeOf(journal.append({ kind: "passed", low: 1 }))).toBe("journal_closed");
});

test("what lies behind a torn tail of an earlier life never comes back", async () => {
  const given = options();
  await written(given);
  await appendFile(given.path, "00000000 {torn");
  const journal = await Journal.open(given);
  expect(journal.damaged).toBe(0);
  await journal.append({ kind: "cancelled", id: 1 });
  await journal.close();
  expect((await readFile(given.path, "utf8")).includes("torn")).toBe(false);
  expect((await Journal.open(given)).ledger.plans.size).toBe(0);
});
