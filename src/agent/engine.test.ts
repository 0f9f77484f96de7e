/** The engine's upkeep: small when quiet, compiling when data flows. */
import { expect, test } from "bun:test";
import { Engine } from "./engine.ts";

const MiB = 2 ** 20;

function looked(): { engine: Engine; calls: string[] } {
  const calls: string[] = [];
  const engine = new Engine(0, { setJITPolicy: (scale) => calls.push(`policy ${scale}`), shrink: () => calls.push("shrink") });
  return { engine, calls };
}

test("after five quiet seconds the code of the start goes, once", () => {
  const { engine, calls } = looked();
  for (let second = 1; second < 5; second++) engine.look(0, second * 1000);
  expect(calls).toEqual([]);
  for (let second = 5; second < 60; second++) engine.look(second * 1000, second * 1000);
  expect(calls).toEqual(["policy 1000", "shrink"]);
});

test("data that flows is compiled for at the next look, and dropped again when it is over", () => {
  const { engine, calls } = looked();
  engine.look(0, 5000);
  calls.length = 0;
  for (let second = 6; second < 30; second++) engine.look(second * MiB, second * 1000);
  expect(calls).toEqual(["policy 32"]);
  for (let second = 30; second < 40; second++) engine.look(30 * MiB, second * 1000);
  expect(calls).toEqual(["policy 32", "policy 1000", "shrink"]);
});

test("a process that is never quiet is left alone", () => {
  const { engine, calls } = looked();
  for (let second = 1; second < 60; second++) engine.look(second * MiB, second * 1000);
  expect(calls).toEqual([]);
});

test("what rare work leaves behind goes every ten minutes", () => {
  const { engine, calls } = looked();
  for (let second = 1; second <= 1300; second++) engine.look(second, second * 1000);
  expect(calls.filter((call) => call === "shrink")).toHaveLength(3);
});

test("the runtime takes both calls", () => {
  const engine = new Engine(0);
  engine.look(0, 5000);
  engine.look(MiB, 6000);
  expect(() => engine.look(2 * MiB, 7000)).not.toThrow();
});
