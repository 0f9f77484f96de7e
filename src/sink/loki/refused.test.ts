/** Records that Loki refuses for good: found, counted, given up; or held, when they are many. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { FakeLoki } from "../../../test/support/loki/fake.ts";
import { batchOf, hours, lineOf, numbered, useLoki } from "../../../test/support/loki/rig.ts";
import { serveLoki } from "../../../test/support/loki/server.ts";
import { faultOf } from "../../../test/support/store.ts";
import { Fault } from "../../core/fault.ts";

const rig = useLoki();

describe("records that are refused for good", () => {
  test("are found among those that are stored, told by reason, and given up", async () => {
    const records = numbered(300);
    records[7] = { message: "too old", ms: -hours(24 * 30) };
    records[150] = { message: "ahead", ms: hours(2) };
    records[200] = { message: "x".repeat(5000), ms: 200 };
    rig.fake.store.rules.lineBytes = 4000;
    const receipt = await rig.put(batchOf(records), { concurrency: 1 });
    expect(receipt).toMatchObject({
      outcome: "delivered",
      refused: { reasons: { too_old: 1, too_far_ahead: 1, line_too_long: 1 }, example: expect.stringContaining("record 107: entry for stream") },
    });
    expect(new Set(rig.messages()).size).toBe(297);
  });

  test("behind their stream too, which Loki tells per stream and not per entry", async () => {
    await rig.put(batchOf([{ ms: 0, message: "newest" }]));
    const receipt = await rig.put(batchOf([{ ms: -hours(2), message: "behind" }, { ms: -hours(0.9), message: "in time" }])); // prettier-ignore
    expect(receipt.refused?.reasons).toEqual({ too_far_behind: 1 });
    expect(rig.messages()).toEqual(["in time", "newest"]);
  });

  test("are not what was stored already: a wide batch that is pushed again after a kill goes on where it was", async () => {
    const records = numbered(6).map((record, at) => ({ ...record, ms: -hours(12 - 2 * at) }));
    rig.fake.script = { after: () => (rig.fake.pushes.length === 3 ? { status: 502 } : undefined) };
    const batch = batchOf(records);
    expect(await rig.refusal({}, batch)).toMatchObject({ code: "loki_server_error" });
    const note = batch.notes.at(-1);
    expect(await rig.put(batchOf(records, { note }))).toMatchObject({ outcome: "delivered" });
    expect(rig.messages()).toHaveLength(6);
  });

  test("and what a wide batch had done counts for nothing once it was planned anew without a record that is gone", async () => {
    const records = numbered(6).map((record, at) => ({ ...record, ms: -hours(12 - 2 * at) }));
    rig.fake.script = { before: () => (rig.fake.pushes.length === 3 ? { status: 503 } : undefined) };
    const batch = batchOf(records);
    await rig.refusal({}, batch);
    const note = batch.notes.at(-1);
    expect(note).toMatchObject({ passed: expect.arrayContaining([3]) });
    rig.fake.store.rules.behindNs *= 100n;
    const left = records.map(lineOf).slice(1).join("");
    await rig.put(testBatch([Buffer.from(left)], { codec: "none", ranges: [[101, 105]], note }));
    expect(rig.messages()).toHaveLength(6);
  });

  test("are so many that it is not about them: held, all of it offered again, and it goes on once Loki takes them", async () => {
    const batch = batchOf(numbered(100).map((record, at) => ({ ...record, ms: at % 2 === 0 ? -hours(24 * 10) : at })));
    await using sink = await rig.open();
    const fault = await faultOf(sink.put(batch, testSignals().signals));
    expect(fault).toMatchObject({ code: "sink_refuses_all", retry: "denied", hint: expect.stringContaining("when_refused: drop") });
    expect(fault.message).toContain("has timestamp too old");
    expect(await faultOf(sink.put(batch, testSignals().signals))).toMatchObject({ code: "sink_refuses_all" });
    rig.fake.store.rules.oldNs *= 10n;
    expect(await sink.put(batch, testSignals().signals)).toMatchObject({ outcome: "delivered" });
    expect(rig.messages()).toHaveLength(100);
  });

  test("are given up however many, when that is wanted, with few requests", async () => {
    const records = numbered(1000).map((record, at) => ({ ...record, ms: at < 900 ? -hours(24 * 10) + at : at }));
    const receipt = await rig.put(batchOf(records), { when_refused: "drop" });
    expect(receipt.refused?.reasons).toEqual({ too_old: 900 });
    expect(rig.messages()).toHaveLength(100);
    expect(rig.fake.pushes.length).toBeLessThan(10);
  });

  test("stand beside others that are held: those hold the batch", async () => {
    rig.fake.store.rules.valueLength = 20;
    const records = [{ ms: -hours(24 * 30) }, { source: "x".repeat(30) }];
    expect(await rig.refusal({ concurrency: 1 }, batchOf(records))).toMatchObject({ code: "loki_push_refused", retry: "denied" });
  });
});

test("whatever is answered to pushes, over restarts: each record is stored once, in its order, or told as refused", async () => {
  const record = fc.record({
    source: fc.constantFrom("a", "b", "c"),
    ms: fc.constantFrom(0, 0, 0, 1, 5, -hours(2), -hours(24 * 9), hours(3)),
    message: fc.constantFrom("x", "y", "z".repeat(200)),
  });
  const answers = fc.array(fc.constantFrom("stored", "stored", "busy", "lost", "blocked", "kill"), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(record, { minLength: 1, maxLength: 30 }), { maxLength: 4 }), answers, async (batches, script) => {
      const fake = new FakeLoki();
      await using far = serveLoki(fake);
      fake.store.rules.lineBytes = 150;
      const rest = [...script];
      let next: string | undefined;
      fake.script = {
        before: () => ((next = rest.shift()) === "busy" ? { status: 429 } : next === "blocked" ? { status: 260 } : undefined),
        after: () => (next === "lost" || next === "kill" ? { status: 502 } : undefined),
      };
      const options = { url: far.url, line_bytes_max: "1KiB", when_refused: "drop", concurrency: 2, batch: { bytes_max: "1KiB" } };
      rig.state = undefined;
      let sink = await rig.open(options);
      let refusals = 0;
      let offset = 0;
      for (const records of batches) {
        const from = offset;
        offset += records.length;
        const lines = records.map((one, at) => lineOf(one, from + at)).join("");
        const batch = testBatch([Buffer.from(lines)], { codec: "none", ranges: [[from, offset - 1]], records: records.length });
        for (let done = false; !done;) {
          const note = batch.notes.at(-1);
          const receipt = await sink.put({ ...batch, note }, testSignals().signals).catch((cause: unknown) => cause as Fault);
          done = !(receipt instanceof Fault);
          if (!(receipt instanceof Fault)) rig.state = receipt.state ?? rig.state;
          if (next === "kill") sink = await rig.open(options);
          for (const count of Object.values(receipt instanceof Fault ? {} : (receipt.refused?.reasons ?? {}))) refusals += count;
        }
      }
      const stored = [...fake.store.streams.values()].map(({ entries }) => entries.map(({ metadata }) => Number(metadata["offset"])));
      const all = stored.flat();
      expect(new Set(all).size).toBe(all.length);
      expect(all.length + refusals).toBe(offset);
    }),
    { numRuns: 150 },
  );
}, 60_000);
