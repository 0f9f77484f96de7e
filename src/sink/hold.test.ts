/** Journals that are lost: made anew from what the far side has, so that each record arrives once. */
import { describe, expect, test } from "bun:test";
import { rm, truncate } from "node:fs/promises";
import { at, hourly, later, noise, records, Rig, soon, upTo, useRigs } from "../../test/support/rig.ts";
import { hang } from "../../test/support/sink.ts";
import { MemorySpool } from "../../test/support/spool.ts";
import { Fault } from "../core/fault.ts";
import { countOf, packRanges } from "./ranges.ts";

useRigs();

const byHour = { template: "env={labels.env}/hour=%H", zone: "UTC" };

/** Frames of mixed records of two partitions, `each` a frame. */
function addMixed(rig: Rig, first: number, frames: number, each: number): void {
  for (let frame = 0; frame < frames; frame++) {
    const mixed = records(first + frame * each, each).map((record, i) => ({
      ...record,
      source: "a",
      labels: { env: i % 3 === 0 ? "x" : "y" },
      noise: noise(30),
    }));
    rig.spool.add(mixed, { mixed: true, stream: {} });
  }
}

describe("a lost journal", () => {
  test("is made anew: what has arrived is not sent again, what is missing is", async () => {
    const rig = new Rig({ partition: byHour, bytesMax: 2000 });
    rig.expected = false;
    addMixed(rig, 0, 20, 50);
    await rig.drain();
    const before = [...rig.far.objects.keys()];
    await rm(rig.journalPath);
    rig.expected = true;
    addMixed(rig, 1000, 5, 50);
    await rig.drain();
    expect(rig.all()).toEqual(upTo(1250));
    expect([...rig.far.objects.keys()].slice(0, before.length)).toEqual(before);
    expect(rig.board.counts()).toEqual({ journal_lost: 1, journal_rebuilt: 1 });
    expect(rig.board.reasons()).toEqual([]);
    expect(rig.spool.claims.get("lake")).toBe(1250);
    // And the next life goes on with it as with any other.
    addMixed(rig, 1250, 1, 50);
    await rig.drain();
    expect(rig.all()).toEqual(upTo(1300));
  });

  test("an emptied one too; the file is kept beside", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 10));
    await rig.drain();
    await truncate(rig.journalPath, 0);
    rig.expected = true;
    rig.spool.add(records(10, 10));
    await rig.drain();
    expect(rig.all()).toEqual(upTo(20));
    expect(await Bun.file(`${rig.journalPath}.damaged`).exists()).toBe(true);
  });

  test("lives cut anywhere, the journal lost after each: every record once, and no name twice", async () => {
    const rig = new Rig({ partition: byHour, bytesMax: 1500, concurrency: 2 });
    rig.expected = true;
    for (let life = 0; life < 12; life++) {
      rig.spool.epoch = life.toString(16).padStart(8, "0");
      addMixed(rig, life * 120, 4, 30);
      if (life > 3) rig.spool.drop(Math.floor((rig.spool.claims.get("lake") ?? 0) / 30) * 30);
      const stored = rig.far.objects.size;
      rig.script = (batch, far, signals) => {
        if (far.objects.size < stored + (life % 4)) return undefined;
        return life % 2 === 0 ? hang(signals) : far.store(batch).then(() => hang(signals));
      };
      const puts = rig.far.puts.length;
      await rig.cut(() => rig.far.puts.length > puts + (life % 4));
      await rm(rig.journalPath, { force: true });
    }
    rig.script = () => undefined;
    rig.spool.epoch = "ffffffff";
    await rig.drain();
    expect(rig.all()).toEqual(upTo(12 * 120));
    expect(rig.board.counts()).toEqual({ journal_lost: 1, journal_rebuilt: 1 });
  });

  test("while the far side is away or refuses, the sink holds and says why; then it goes on by itself", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 10));
    await rig.drain();
    await rm(rig.journalPath);
    rig.expected = true;
    rig.spool.add(records(10, 5));
    const denied = new Fault({ code: "s3_access_denied", retry: "denied", message: "list", hint: "allow s3:ListBucket" });
    rig.far.onList = () => Promise.reject(denied);
    const puts = rig.far.puts.length;
    await using runner = await rig.open();
    await soon(() => rig.board.reasons().length === 2);
    expect(rig.board.reasons().map(({ code, severity }) => [code, severity])).toEqual([
      ["journal_lost", "failing"],
      ["s3_access_denied", "failing"],
    ]);
    expect(runner.status()).toMatchObject({ state: "denied", delivered_sequence: -1, lag_records: 15, last_fault: { hint: "allow s3:ListBucket" } });
    expect(rig.far.puts.length).toBe(puts);
    rig.far.onList = () => Promise.resolve();
    await soon(() => rig.all().length === 15);
    await soon(() => rig.board.reasons().length === 0);
    rig.stop.abort();
    await runner.done;
    expect(rig.all()).toEqual(upTo(15));
  });

  test("a stop while the far side is away ends it, and nothing was guessed", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 10));
    await rig.drain();
    await rm(rig.journalPath);
    rig.expected = true;
    rig.far.onList = () => later().then(() => {});
    const runner = await rig.drain();
    expect(runner.status()).toMatchObject({ state: "stopped", delivered_sequence: -1 });
    expect(await Bun.file(rig.journalPath).exists()).toBe(false);
  });

  test("an object that cannot be read holds the sink until it is moved away", async () => {
    const rig = new Rig({ partition: hourly });
    rig.spool.add(records(0, 10), { stream: { source: "a" }, timeMs: at("01:30:00") });
    await rig.drain();
    await rm(rig.journalPath);
    rig.expected = true;
    const [key, object] = [...rig.far.objects][0]!;
    rig.far.objects.set(key, { ...object, body: object.body.subarray(0, -3) });
    await using runner = await rig.open();
    await soon(() => rig.board.reasons().some(({ code }) => code === "rebuild_object_unreadable"));
    rig.far.objects.delete(key);
    await soon(() => rig.all().length === 10);
    rig.stop.abort();
    await runner.done;
  });

  test("a spool rolled back beside its own future: only what it really has counts as arrived", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 5));
    rig.spool.add(records(5, 5));
    await rig.drain();
    rig.spool = new MemorySpool();
    rig.spool.epoch = "00000009";
    rig.spool.add(records(0, 5));
    rig.spool.add(records(100, 5));
    await rm(rig.journalPath);
    rig.expected = true;
    await rig.drain();
    expect(rig.all()).toEqual([...upTo(10), ...upTo(5).map((n) => n + 100)]);
    expect(rig.board.counts()).toEqual({ journal_lost: 1, journal_rebuilt: 1, spool_forked: 1 });
  });
});

describe("a lost journal, and a receiver that keeps no objects", () => {
  test("one that knows all it has taken is believed", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 10));
    rig.expected = true;
    rig.receiver = () => Promise.resolve({ low: 4, ranges: [[6, 7]], exact: true });
    await rig.drain();
    expect(rig.all()).toEqual([4, 5, 8, 9]);
    expect(rig.board.counts()).toEqual({ journal_lost: 1, journal_rebuilt: 1 });
  });

  test("what one cannot tell is shipped again, and counted by the record", async () => {
    for (const received of [undefined, { low: 0, ranges: [[0, 1]], exact: false } as const]) {
      const rig = new Rig();
      rig.spool.add(records(0, 10, { noise: noise(10) }));
      rig.expected = true;
      rig.receiver = () => Promise.resolve(received);
      await rig.drain();
      const arrived = received === undefined ? 0 : countOf(received.ranges);
      expect(packRanges([[arrived, 9]])).toEqual([rig.all()[0]!, rig.all().length]);
      expect(rig.board.counts()).toEqual({ journal_lost: 1, journal_rebuilt: 1, delivery_unsure: 10 - arrived });
    }
  });
});
