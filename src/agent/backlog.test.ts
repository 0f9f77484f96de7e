import { expect, test } from "bun:test";
import { Backlog } from "./backlog.ts";

const MiB = 2 ** 20;

test("what is left, how fast it is read, and when it will be done", () => {
  const backlog = new Backlog();
  expect(backlog.status(0)).toBeUndefined();
  for (let second = 0; second < 5; second++) backlog.look((1000 - 50 * second) * MiB, 60 * MiB * second, second * 1000);
  // 60 MiB/s are read and 10 MiB/s written meanwhile.
  expect(backlog.status(800 * MiB)).toEqual({ bytes_left: 800 * MiB, bytes_per_second: 60 * MiB, seconds_left: 16 });
});

test("one that does not shrink has no end, and one look says nothing of the speed", () => {
  const backlog = new Backlog();
  backlog.look(100 * MiB, 0, 0);
  expect(backlog.status(100 * MiB)).toEqual({ bytes_left: 100 * MiB, bytes_per_second: 0 });
  backlog.look(110 * MiB, 20 * MiB, 1000);
  expect(backlog.status(110 * MiB)).toEqual({ bytes_left: 110 * MiB, bytes_per_second: 20 * MiB });
});

test("it follows what changes within a quarter of a minute, and is over when little is left", () => {
  const backlog = new Backlog();
  for (let second = 0; second < 60; second++) backlog.look((2000 - second) * MiB, second * MiB, second * 1000);
  for (let second = 60; second < 76; second++) backlog.look((1940 - 20 * (second - 60)) * MiB, (60 + 20 * (second - 60)) * MiB, second * 1000);
  expect(backlog.status(1640 * MiB)?.bytes_per_second).toBe(20 * MiB);
  backlog.look(MiB, 0, 77_000);
  expect(backlog.status(MiB)).toBeUndefined();
});
