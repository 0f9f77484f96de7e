import { describe, expect, test } from "bun:test";
import { createBoard } from "../../core/board.ts";
import { silent } from "../../core/log.ts";
import { Decoder, type Entry } from "./entry.ts";
import { Late } from "./late.ts";
import { Losses } from "./loss.ts";
import type { Query } from "./query.ts";
import { bucketSeconds } from "./time.ts";

const first = 179_539_740;
const kill = new AbortController().signal;

/** Entries of the minute that begins with `bucket`. */
function entries(bucket: number, pod: string, count: number): Entry[] {
  const values = Array.from({ length: count }, (_, n) => [`${bucket * bucketSeconds + 1}${String(n).padStart(9, "0")}`, `${pod} ${n}`, {}]);
  return new Decoder("h", "s", {}).entries([{ stream: { pod }, values }]);
}

/** A server that counts so many entries of each stream in each minute. */
function counting(counts: Record<string, Record<number, number>>): Query {
  const seconds = (minutes: Record<number, number>): Map<number, number> =>
    new Map(Object.entries(minutes).map(([bucket, count]) => [Number(bucket) * bucketSeconds, count]));
  const query: Pick<Query, "counts" | "countsByStream"> = {
    counts() {
      const sum = new Map<number, number>();
      for (const minutes of Object.values(counts)) for (const [at, count] of seconds(minutes)) sum.set(at, (sum.get(at) ?? 0) + count);
      return Promise.resolve(sum);
    },
    countsByStream: () => Promise.resolve(new Map(Object.entries(counts).map(([pod, minutes]) => [`{"pod":"${pod}"}`, seconds(minutes)]))),
  };
  return query as Query;
}

function newLosses(): Losses {
  return new Losses(
    createBoard(silent, () => 0),
    "sources.web",
    undefined,
  );
}

describe("minutes left behind", () => {
  test("what the server has more of half a minute on is declared once, with its stream", async () => {
    const late = new Late(undefined);
    const losses = newLosses();
    late.note([...entries(first, "a", 3), ...entries(first, "b", 2)]);
    late.leave(first + 12, first, (minute) => (minute === first ? 5 : 0));
    const query = counting({ a: { [first]: 3 }, b: { [first]: 4, [first + 6]: 1 } });
    for (const nowMs of [0, 29_999]) await late.check({ query, kill }, losses, [], nowMs);
    expect(losses.entries).toBe(0);
    for (const nowMs of [30_000, 90_000]) await late.check({ query, kill }, losses, [], nowMs);
    expect(losses.listed).toMatchObject([
      { stream: '{"pod":"b"}', entries: 2 },
      { stream: '{"pod":"b"}', entries: 1 },
    ]);
  });

  test("what a tail brings meanwhile is not lost, and is committed with it", async () => {
    const late = new Late(undefined);
    const losses = newLosses();
    late.leave(first + 6, first, () => 0);
    const query = counting({ a: { [first]: 1 } });
    await late.check({ query, kill }, losses, [], 0);
    expect(late.note(entries(first, "a", 1))).toEqual({ past: [first + 6, 1] });
    expect(late.note(entries(first + 6, "a", 1))).toEqual({});
    await late.check({ query, kill }, losses, [], 60_000);
    expect(losses.entries).toBe(0);
  });

  test("a restart knows their counts, and of which streams by the server's as long as nothing is missing", async () => {
    const before = new Late(undefined);
    before.note([...entries(first, "a", 3), ...entries(first, "b", 2)]);
    before.leave(first + 6, first, () => 5);
    const late = new Late(before.json());
    const losses = newLosses();
    await late.check({ query: counting({ a: { [first]: 3 }, b: { [first]: 2 } }), kill }, losses, [], 0);
    const query = counting({ a: { [first]: 3 }, b: { [first]: 3 } });
    for (const nowMs of [60_000, 120_000]) await late.check({ query, kill }, losses, [], nowMs);
    expect(losses.listed).toMatchObject([{ stream: '{"pod":"b"}', entries: 1 }]);
  });

  test("are forgotten after an hour, quiet ones count too", () => {
    const late = new Late(undefined);
    late.leave(first + 6 * 100, first, () => 1);
    const [bound, ...counts] = late.json() as number[];
    expect([bound, counts.length]).toEqual([first + 600, 60]);
  });
});
