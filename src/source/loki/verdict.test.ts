import { expect, test } from "bun:test";
import { createBoard } from "../../core/board.ts";
import { silent } from "../../core/log.ts";
import { Losses } from "./loss.ts";
import { bucketStart } from "./time.ts";
import { Verdicts } from "./verdict.ts";

const bucket = 179_539_740;

function world() {
  const board = createBoard(silent, () => 0);
  const losses = new Losses(board, "sources.web", undefined);
  return { board, losses, verdicts: new Verdicts(board, "sources.web", losses), codes: () => board.reasons().map(({ code }) => code) };
}

test("a minute that stays short for five minutes is a fault, until it is not short any more", () => {
  const { verdicts, codes, board } = world();
  const short = [{ bucket, server: 10, held: 7 }];
  verdicts.judge(short, 0);
  verdicts.judge(short, 299_999);
  expect(codes()).toEqual([]);
  verdicts.judge(short, 300_000);
  expect(codes()).toEqual(["loki_counts_differ"]);
  expect(board.reasons()[0]?.message).toContain("3 entries");
  verdicts.judge([], 300_001);
  expect(codes()).toEqual([]);
});

test("crowded times are declared as far as counts say that something is missing, each entry once", async () => {
  const { verdicts, losses } = world();
  const whose = (): Promise<[string, number][]> => Promise.reject(new Error("only one stream was crowded"));
  verdicts.crowded(bucketStart(bucket) + 5n, '{"a":"1"}');
  await verdicts.declare([], whose);
  expect(losses.entries).toBe(0);
  for (const held of [50, 50, 48]) await verdicts.declare([{ bucket, server: 70, held }], whose);
  expect(losses.listed).toMatchObject([{ stream: '{"a":"1"}', reason: "loki_time_crowded", entries: 22 }]);
  await verdicts.declare([{ bucket: bucket + 6, server: 9, held: 1 }], whose);
  expect(losses.entries).toBe(22);
});

test("where nothing can be counted, at least one a stream is", () => {
  const { verdicts, losses } = world();
  for (const stream of ["x", "y", "x"]) verdicts.crowded(bucketStart(bucket), stream);
  verdicts.declareUncounted();
  verdicts.declareUncounted();
  expect(losses.entries).toBe(2);
});

test("answers without the encoding flag degrade health until one has it", () => {
  const { verdicts, codes } = world();
  verdicts.flagged(false);
  expect(codes()).toEqual(["loki_flags_missing"]);
  verdicts.flagged(true);
  expect(codes()).toEqual([]);
});
