/** Where sweeps begin and what they commit; test/loki has the rest of it, against a Loki. */
import { expect, test } from "bun:test";
import { end, minuteMs, push, type Rig, world } from "../../../test/loki/rig.ts";

function watermarkMs(rig: Rig): number {
  const committed = rig.positions.get("w");
  return typeof committed === "string" ? Number(BigInt(committed) / 1_000_000n) : Number.NaN;
}

test("the watermark is a bucket's start behind what has settled, and is where the next life begins", async () => {
  const { clock, fake, rig } = world();
  const life = await rig.begin();
  push(fake, ["one"]);
  await clock.pass(2 * minuteMs);
  const watermark = watermarkMs(rig);
  expect(clock.now() - watermark).toBeGreaterThanOrEqual(10_000);
  expect(clock.now() - watermark).toBeLessThan(45_000);
  await end(life, clock);
  const before = fake.asked.length;
  const next = await rig.begin();
  await clock.pass(1000);
  const ranges = fake.asked.slice(before).filter(({ path }) => path.includes("direction=forward"));
  const starts = ranges.map(({ path }) => Number(new URL(path, "http://x").searchParams.get("start")?.slice(0, 13)));
  expect(Math.min(...starts)).toBeGreaterThan(watermark - 3 * minuteMs);
  await end(next, clock);
});

test("a long look back moves the watermark on its way, so that a kill costs seconds of it, also when the tail comes up meanwhile", async () => {
  const { clock, fake, rig } = world();
  fake.limits.entries = 20;
  rig.network.slow = 1;
  for (let minute = 0; minute < 180; minute++)
    push(
      fake,
      Array.from({ length: 40 }, (_, n) => `${minute} ${n}`),
      { agoMs: (180 - minute) * minuteMs, pod: String(minute) },
    );
  const life = await rig.begin({ start: "4h" });
  await clock.pass(10 * minuteMs);
  const [first, last] = [clock.now() - 4 * 60 * minuteMs, watermarkMs(rig)];
  expect(rig.records.length).toBeLessThan(7200);
  expect(last).toBeGreaterThan(first + 60 * minuteMs);
  life.kill();
  await clock.pass(4000);
  await life.done;
});
