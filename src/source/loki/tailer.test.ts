/** What keeps a tail up; test/loki has the rest of it, against a Loki. */
import { expect, test } from "bun:test";
import { codes, end, push, world } from "../../../test/loki/rig.ts";

test("frames that come together are one emit, in their order", async () => {
  const { clock, fake, rig } = world();
  const life = await rig.begin();
  await clock.pass(2000);
  const before = [...rig.positions.keys()].filter((key) => key.startsWith("k:")).length;
  push(
    fake,
    Array.from({ length: 450 }, (_, n) => `line ${n}`),
  );
  await clock.pass(2000);
  expect(rig.records.map(({ message }) => message)).toEqual(Array.from({ length: 450 }, (_, n) => `line ${n}`));
  expect([...rig.positions.keys()].filter((key) => key.startsWith("k:")).length - before).toBe(1);
  await end(life, clock);
});

test("a frame that is no JSON, or without the flag, is not used: sweeps bring what it had, and health says so", async () => {
  const { clock, fake, rig } = world();
  const life = await rig.begin();
  await clock.pass(2000);
  for (const text of ['{"streams":[{"str', '{"streams":[{"stream":{"app":"web","trace":"7"},"values":[["1795404761000000000","mixed"]]}]}']) {
    for (const tail of fake.tails) tail.raw(text);
    await clock.pass(100);
    expect(codes(life)).toEqual(["degraded loki_flags_missing"]);
  }
  expect(rig.records).toEqual([]);
  await end(life, clock);
});
