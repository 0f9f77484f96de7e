/** A spool without room: what goes, what never goes, and that it is told. */
import { expect, test } from "bun:test";
import { noise, SpoolRig } from "../../test/support/spoolrig.ts";
import { until } from "../../test/support/until.ts";

const MiB = 2 ** 20;
const small = { max_bytes: "8MiB", segment_bytes: "1MiB" };
const numberOf = (record: string): number => (JSON.parse(record) as { n: number }).n;

/** `count` records of about a quarter of a mebibyte, one after the other, as a source would that waits for each. */
async function fill(rig: SpoolRig, from: number, count: number, source = "app"): Promise<void> {
  for (let n = from; n < from + count; n++) await rig.put([noise(n, MiB / 4, source)], source);
}

test("drop_oldest: the oldest undelivered segments yield, no more than needed, and every lost record is counted by source", async () => {
  await using rig = await SpoolRig.open({ config: { ...small, when_full: "drop_oldest" } });
  await fill(rig, 0, 20, "a");
  await fill(rig, 20, 40, "b");
  const { spool } = rig;
  const held = spool.reader.firstSequence();
  expect(held).toBeGreaterThan(20);
  // A segment of this size holds three or four of them: what went is what had to, and not a segment more.
  expect(spool.status().bytes).toBeGreaterThan(8 * MiB - 2 * MiB);
  expect(spool.status().bytes).toBeLessThanOrEqual(8 * MiB);
  expect(spool.dropped("a").records + spool.dropped("b").records).toBe(held);
  expect(spool.dropped("a").records).toBe(20);
  expect(spool.dropped("a").bytes).toBeGreaterThan(20 * (MiB / 4));
  expect(spool.status().dropped_records).toBe(held);
  expect(rig.board.reasons().map(({ component, code, severity }) => [component, code, severity])).toEqual([["spool", "spool_dropping", "degraded"]]);
  expect(rig.board.counts()["spool_dropping"]).toBeGreaterThan(0);
  const [first, ...rest] = await rig.read();
  expect(first).toBe(`dropped ${held}`);
  expect(rest.map(numberOf)).toEqual(Array.from({ length: 60 - held }, (_, i) => held + i));
}, 60_000);

test("drop_oldest: what was given up is told apart from damage after a restart too, and an old segment is read for its sources", async () => {
  await using rig = await SpoolRig.open({ config: { ...small, when_full: "drop_oldest" } });
  await fill(rig, 0, 40);
  const held = rig.spool.reader.firstSequence();
  await rig.close();
  await using again = await SpoolRig.open({ config: { ...small, when_full: "drop_oldest" } }, rig.dir);
  expect((await again.read())[0]).toBe(`dropped ${held}`);
  expect(again.spool.status().dropped_records).toBe(0);
  await fill(again, 40, 12, "later");
  const more = again.spool.reader.firstSequence() - held;
  expect(more).toBeGreaterThan(0);
  expect(again.spool.dropped("app").records).toBe(more);
}, 60_000);

test("drop_oldest: a sink that ships loses nothing, and records it has confirmed are not counted as lost", async () => {
  await using rig = await SpoolRig.open({ config: { ...small, when_full: "drop_oldest" } });
  const { spool } = rig;
  const shipping = new AbortController();
  // Ships only when asked to, as one does that gathers large batches.
  const sink = (async () => {
    while (!shipping.signal.aborted) {
      if (spool.reader.pressed()) spool.reader.claim("lake", spool.reader.nextSequence());
      await Bun.sleep(20);
    }
  })();
  await fill(rig, 0, 80);
  shipping.abort();
  await sink;
  expect(spool.status().dropped_records).toBe(0);
  expect(rig.board.reasons()).toEqual([]);
}, 60_000);

test("drop_oldest: of a segment that was delivered in part, only the rest counts as lost", async () => {
  await using rig = await SpoolRig.open({ config: { ...small, when_full: "drop_oldest" } });
  await fill(rig, 0, 3);
  rig.spool.reader.claim("lake", 2);
  await fill(rig, 3, 50);
  expect(rig.spool.status().dropped_records).toBe(rig.spool.reader.firstSequence() - 2);
}, 60_000);

test("block: nothing is given up however long the spool is full", async () => {
  await using rig = await SpoolRig.open({ config: small });
  const filling = fill(rig, 0, 60);
  await until(() => rig.spool.status().paused === "full", "the spool is full");
  await Bun.sleep(4000); // longer than drop_oldest would wait
  expect(rig.spool.reader.firstSequence()).toBe(0);
  expect(rig.board.reasons().map(({ code }) => code)).toEqual(["spool_full"]);
  const sink = setInterval(() => rig.spool.reader.claim("lake", rig.spool.reader.nextSequence()), 20);
  await filling;
  clearInterval(sink);
  expect(rig.board.reasons()).toEqual([]);
}, 60_000);

test("hold_bytes: a sink that is not required loses its oldest beyond it, and fills nothing; the others lose nothing", async () => {
  await using rig = await SpoolRig.open({ config: small, sinks: ["lake", "extra"], holds: new Map([["extra", 3 * MiB]]) });
  const { reader } = rig.spool;
  for (let n = 0; n < 40; n++) {
    await fill(rig, n, 1);
    reader.claim("lake", reader.nextSequence());
    reader.claim("extra", 0);
  }
  await until(() => rig.spool.status().bytes <= 4 * MiB + MiB / 4, "what the dead sink holds is bounded");
  expect(reader.firstSequence()).toBeGreaterThan(0);
  expect(reader.bytesFrom(reader.firstSequence())).toBeGreaterThan(2 * MiB);
  expect(rig.spool.status().dropped_records).toBe(reader.firstSequence());
  expect(rig.board.reasons().map(({ code }) => code)).toEqual(["spool_dropping"]);
}, 60_000);

test("required: false without hold_bytes yields once the spool is full, although it blocks otherwise; a required one never does", async () => {
  await using rig = await SpoolRig.open({ config: small, sinks: ["lake", "extra"], holds: new Map([["extra", Infinity]]) });
  const { reader } = rig.spool;
  await fill(rig, 0, 16);
  reader.claim("lake", 16);
  await fill(rig, 16, 20);
  expect(reader.firstSequence()).toBeGreaterThan(0);
  const filling = fill(rig, 36, 30);
  await until(() => rig.board.reasons().some(({ code }) => code === "spool_full"), "what is left is the required sink's");
  await Bun.sleep(4000); // longer than it waits before it gives up what is not required
  expect(reader.firstSequence()).toBeLessThanOrEqual(16);
  const sink = setInterval(() => ["lake", "extra"].forEach((name) => reader.claim(name, reader.nextSequence())), 20);
  await filling;
  clearInterval(sink);
}, 60_000);

test("retain: delivered segments are kept that long, go by time alone, and yield at once when room is short", async () => {
  await using rig = await SpoolRig.open({ config: { ...small, retain: "1s" } });
  const { reader } = rig.spool;
  await fill(rig, 0, 12);
  reader.claim("lake", 12);
  expect(rig.spool.status().segments).toBeGreaterThan(2);
  // No claim comes any more: only the newest, which is still written to, stays.
  await until(() => rig.spool.status().segments === 1, "delivered segments went by time");
  await using full = await SpoolRig.open({ config: { ...small, retain: "1h" } });
  for (let n = 0; n < 60; n++) {
    await fill(full, n, 1);
    full.spool.reader.claim("lake", n + 1);
  }
  expect(full.spool.status().bytes).toBeGreaterThan(6 * MiB);
  expect(full.spool.status().dropped_records).toBe(0);
  expect(full.board.reasons()).toEqual([]);
}, 60_000);
