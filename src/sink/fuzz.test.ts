/** Any bytes as a journal: it opens with a state that makes sense, or rejects with a Fault; nothing else, and no hang. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as fc from "fast-check";
import { systemDoors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";
import { Journal } from "./journal.ts";
import { verifyJournals } from "./verify.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(`${tmpdir()}/journal-`);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const codes = ["journal_damaged", "journal_format_unknown"];

async function opened(bytes: Uint8Array): Promise<Journal | Fault> {
  const path = `${dir}/lake.journal`;
  await writeFile(path, bytes);
  try {
    const journal = await Journal.open({ path, sink: "lake", spoolId: "0".repeat(32), doors: systemDoors, onFault: () => {} });
    await journal.close();
    return journal;
  } catch (cause) {
    if (cause instanceof Fault) return cause;
    throw cause;
  }
}

const lineOf = (value: unknown): Buffer => {
  const json = JSON.stringify(value);
  return Buffer.from(`${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}\n`);
};

const number = fc.oneof(fc.nat(1000), fc.maxSafeNat(), fc.double(), fc.integer());
const ranges = fc.oneof(fc.array(number, { maxLength: 6 }), fc.array(fc.tuple(fc.nat(500), fc.nat(500))), fc.jsonValue());
const hex = fc.constantFrom("0".repeat(8), "a".repeat(64), "zz", "");
const entry = fc.record(
  {
    kind: fc.constantFrom("head", "opened", "passed", "rewound", "planned", "note", "cancelled", "delivered", "split"),
    format: fc.constantFrom(1, 1, 1, 2, "x"),
    spool: fc.string(),
    spool_epoch: hex,
    epoch: hex,
    low: number,
    above: ranges,
    next_id: number,
    next: number,
    id: fc.oneof(fc.nat(5), number),
    lane: fc.string(),
    number,
    name: fc.string(),
    ranges,
    records: number,
    codec: fc.constantFrom("zstd", "gzip", "none", "lzma"),
    encoder: fc.string(),
    bytes: number,
    digest: hex,
    min_ms: number,
    note: fc.jsonValue(),
  },
  { requiredKeys: ["kind"] },
);

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value)),
  fc
    .array(fc.oneof(entry.map(lineOf), entry.map(lineOf), fc.jsonValue().map(lineOf), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 })
    .map((lines) => Buffer.concat(lines)),
  fc.tuple(fc.array(entry.map(lineOf), { minLength: 1, maxLength: 6 }), fc.nat()).map(([lines, cut]) => {
    const whole = Buffer.concat(lines);
    return whole.subarray(0, cut % (whole.byteLength + 1));
  }),
);

test("any bytes as a journal: a state that makes sense, or a Fault", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, async (content) => {
      const found = await opened(content);
      const damages = await Array.fromAsync(verifyJournals(systemDoors.disk, dir, ["lake"]));
      if (found instanceof Fault) {
        expect(codes).toContain(found.code);
        return;
      }
      const { ledger } = found;
      expect(Number.isSafeInteger(ledger.low) && ledger.low >= 0).toBe(true);
      expect(Number.isSafeInteger(ledger.nextId)).toBe(true);
      let end = -1;
      for (const [first, last] of ledger.above) {
        expect(first > end && last >= first && Number.isSafeInteger(last)).toBe(true);
        end = last;
      }
      // What is known can be written down again, and comes back the same.
      expect(damages.every(({ code }) => code === "journal_damaged")).toBe(true);
      expect(ledger.snapshot().length).toBeGreaterThan(0);
    }),
    { numRuns: 1500 },
  );
  expect((await readdir(dir)).length).toBeLessThanOrEqual(3);
}, 120_000);

test("a journal longer than any of ours is not read into memory", async () => {
  await writeFile(`${dir}/lake.journal`, "");
  await truncate(`${dir}/lake.journal`, 2 ** 40);
  try {
    const options = { path: `${dir}/lake.journal`, sink: "lake", spoolId: "0".repeat(32), doors: systemDoors, onFault: () => {} };
    expect(await Journal.open(options).catch((cause: unknown) => (cause as Fault).code)).toBe("journal_damaged");
  } finally {
    await rm(`${dir}/lake.journal`);
  }
});
