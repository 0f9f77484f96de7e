/** What a source has against paths: each once, and bounded however many there are. */
import { expect, test } from "bun:test";
import { createBoard } from "../../core/board.ts";
import { createLog } from "../../core/log.ts";
import { notRegular } from "./faults.ts";
import { Ledger } from "./ledger.ts";

function make(): { ledger: Ledger; board: ReturnType<typeof createBoard>; lines: string[] } {
  const lines: string[] = [];
  const board = createBoard(
    createLog((line) => lines.push(line), { level: "info", format: "json", now: () => 0 }),
    () => 0,
  );
  return { ledger: new Ledger(board, "sources.app", false, () => 0), board, lines };
}

const look = (ledger: Ledger, count: number, from = 0): void => {
  for (let index = from; index < from + count; index++) ledger.report(notRegular(`/logs/${index}`, "other"), `/logs/${index}`);
  ledger.settle();
};

test("a fault is raised once, stands, and is cleared when a look does not meet it", () => {
  const { ledger, board, lines } = make();
  look(ledger, 2);
  look(ledger, 2);
  expect(board.counts()).toEqual({ file_not_regular: 2 });
  expect([...ledger.standing()].map(({ detail }) => detail)).toEqual(["/logs/0", "/logs/1"]);
  look(ledger, 1);
  expect(board.reasons().map(({ message }) => message)).toEqual(["/logs/0 is a pipe or device, not a file"]);
  look(ledger, 0);
  expect(board.reasons()).toEqual([]);
  expect(lines.length).toBe(4);
});

test("of a hundred thousand fifty are named, the others are counted, and our own log stays short", () => {
  const { ledger, board, lines } = make();
  look(ledger, 100_000);
  expect(board.reasons().length).toBe(51);
  expect(board.reasons().at(-1)?.message).toBe("50 paths are named, and about 99950 more are like them");
  for (let each = 0; each < 20; each++) look(ledger, 100_000 + each);
  expect(lines.length).toBe(51);
  expect(ledger.unnamed).toBe(99_950);
  look(ledger, 60);
  expect(board.reasons().at(-1)?.message).toBe("50 paths are named, and about 10 more are like them");
  look(ledger, 3);
  expect(board.reasons().length).toBe(3);
  expect(ledger.unnamed).toBe(0);
});

test("those that are named stay named while others come in before them", () => {
  const { ledger, board } = make();
  look(ledger, 50, 100);
  look(ledger, 150);
  expect(board.reasons().filter(({ message }) => /\/1[0-4]\d /.test(message)).length).toBe(50);
});
