/** What has arrived goes into the journal in order, together where others are about to come, and never behind what counts on it. */
import { expect, test } from "bun:test";
import { systemDoors } from "../core/doors.ts";
import { Receipts } from "./receipts.ts";
import type { Journal } from "./journal.ts";
import type { Entry } from "./ledger.ts";

const entry = (low: number): Entry => ({ kind: "passed", low });
const never = new AbortController().signal;

/** Receipts over a journal that notes what is written at once; `fail` makes it refuse. */
function receipts(fail?: Error): { receipts: Receipts; written: number[][] } {
  const written: number[][] = [];
  const append = (...entries: Entry[]): Promise<void> => {
    written.push(entries.map((each) => (each.kind === "passed" ? each.low : -1)));
    return fail === undefined ? Promise.resolve() : Promise.reject(fail);
  };
  return { receipts: new Receipts({ append } as unknown as Journal, systemDoors.clock), written };
}

test("patient ones share a write, and resolve with it", async () => {
  const { receipts: made, written } = receipts();
  await Promise.all([1, 2, 3].map((low) => made.arrived(entry(low), true, never)));
  expect(written).toEqual([[1, 2, 3]]);
});

test("one that is not patient takes those before it along, and so does any other entry", async () => {
  const { receipts: made, written } = receipts();
  await Promise.all([made.arrived(entry(1), true, never), made.arrived(entry(2), false, never)]);
  const last = made.arrived(entry(3), true, never);
  await made.append(entry(4));
  await last;
  expect(written).toEqual([
    [1, 2],
    [3, 4],
  ]);
});

test("what the journal refuses is told to each; a kill does not wait for others", async () => {
  const refused = new Error("closed");
  const { receipts: made, written } = receipts(refused);
  const kill = new AbortController();
  const both = Promise.allSettled([1, 2].map((low) => made.arrived(entry(low), true, kill.signal)));
  kill.abort();
  expect((await both).map((each) => (each.status === "rejected" ? each.reason : undefined) as unknown)).toEqual([refused, refused]);
  expect(written).toEqual([[1, 2]]);
});
