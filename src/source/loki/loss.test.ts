import { expect, test } from "bun:test";
import { createBoard } from "../../core/board.ts";
import { Fault } from "../../core/fault.ts";
import { silent } from "../../core/log.ts";
import { Losses, minuteText } from "./loss.ts";

const fault = new Fault({ code: "loki_entries_too_late", retry: "never", message: "m", hint: "h" });
/** 2026-11-23T01:30:00Z. */
const bucket = 179_539_740;

function losses(committed?: ReturnType<Losses["json"]>): { losses: Losses; counted: () => number } {
  const board = createBoard(silent, () => 0);
  return { losses: new Losses(board, "sources.web", committed), counted: () => board.counts()["loki_entries_too_late"] ?? 0 };
}

test("adds up by minute, stream and reason, counts each entry once, and outlives a restart", () => {
  const { losses: before, counted } = losses();
  before.add(fault, bucket, '{"a":"1"}', 2);
  before.add(fault, bucket, '{"a":"2"}', 1);
  before.add(fault, bucket, '{"a":"1"}', 3);
  expect([before.entries, counted(), before.sumAt(bucket, fault.code), before.sumAt(bucket, fault.code, '{"a":"1"}')]).toEqual([6, 6, 6, 5]);
  const { losses: after, counted: again } = losses(before.json());
  expect([after.entries, again(), after.listed]).toEqual([6, 0, before.listed]);
  expect(after.listed).toContainEqual({ minute: "2026-11-23T01:30:00Z", stream: '{"a":"1"}', reason: fault.code, entries: 5 });
  expect(minuteText(bucket)).toBe("2026-11-23T01:30:00Z");
});

test("lists the last hundred, and sums all", () => {
  const { losses: many } = losses();
  for (let n = 0; n < 150; n++) many.add(fault, bucket + 6 * n, "s", 1);
  expect([many.entries, many.listed.length, many.listed.at(-1)?.minute]).toEqual([150, 100, minuteText(bucket + 6 * 149)]);
});
