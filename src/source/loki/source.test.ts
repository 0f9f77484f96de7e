/** What `/status` shows of it, and how it ends; test/loki has the rest of it, against a Loki. */
import { expect, test } from "bun:test";
import { end, minuteMs, push, world } from "../../../test/loki/rig.ts";

test("the status says how far it is complete, what it asked, what each minute has, and that nothing is lost", async () => {
  const { clock, fake, rig } = world();
  const life = await rig.begin();
  expect(life.source.status()).toMatchObject({ state: "starting", tail: "down", lost_entries: 0, losses: [], minutes: [] });
  for (let minute = 0; minute < 8; minute++) {
    push(fake, [`minute ${minute}`]);
    await clock.pass(minuteMs);
  }
  const status = life.source.status();
  expect(status).toMatchObject({ state: "running", tail: "up", audit: "counts", lost_entries: 0, requests: fake.asked.length });
  expect(clock.now() - Date.parse(status.complete_to ?? "")).toBeLessThan(45_000);
  expect(status.minutes?.length).toBeGreaterThan(4);
  expect(status.minutes?.every(({ server, held }) => server === held)).toBe(true);
  await end(life, clock);
  expect(life.source.status().state).toBe("done");
});

test("poll has no tail, and once ends by itself", async () => {
  const { clock, fake, rig } = world();
  push(fake, ["there"]);
  const life = await rig.begin({ mode: "poll", start: "1h" }, true);
  await clock.pass(2000);
  await life.done;
  expect([life.source.status().tail, life.source.status().state, rig.records.length]).toEqual(["off", "done", 1]);
  expect(fake.shaken).toEqual([]);
});
