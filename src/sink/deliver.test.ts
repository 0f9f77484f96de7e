/** What is delivered and when a batch closes. Faults are in retry.test.ts, what comes after a restart in recover.test.ts. */
import { describe, expect, test } from "bun:test";
import { at, hourly, noise, records, Rig, soon, upTo, useRigs } from "../../test/support/rig.ts";
import { FarSide } from "../../test/support/sink.ts";
import { MemorySpool } from "../../test/support/spool.ts";

useRigs();

describe("what is delivered", () => {
  test("everything there is at the stop, named by host, spool, epoch and sequences", async () => {
    const rig = new Rig();
    rig.spool = new MemorySpool(40);
    rig.spool.add(records(0, 3));
    rig.spool.add(records(3, 2));
    const runner = await rig.drain();
    expect([...rig.far.objects.keys()]).toEqual([
      `0/edge%201-0123456789abcdef-00000001-${"40".padStart(20, "0")}-${"44".padStart(20, "0")}.ndjson.zst`,
    ]);
    expect(rig.all()).toEqual(upTo(5));
    expect(rig.spool.claims.get("lake")).toBe(45);
    expect(runner.status()).toMatchObject({
      type: "scripted",
      state: "stopped",
      delivered_sequence: 44,
      records: 5,
      batches: 1,
      lag_records: 0,
      lag_bytes: 0,
      retries: 0,
    });
  });

  test("frames that are not tiny, copied as they lie", async () => {
    const rig = new Rig({ ageMsMax: 60_000 });
    const frames = [0, 1].map((n) => rig.spool.add(records(n, 1, { noise: noise(70_000) })));
    await rig.drain();
    const [object] = [...rig.far.objects.values()];
    expect(object?.body).toEqual(Buffer.concat(await Promise.all(frames.map((frame) => rig.spool.payload(frame)))));
  });

  test("many tiny frames, compressed anew into one", async () => {
    const rig = new Rig({ ageMsMax: 60_000 });
    for (let n = 0; n < 200; n++) rig.spool.add(records(n, 1));
    await rig.drain();
    expect(rig.objects()).toEqual([upTo(200)]);
    const [object] = [...rig.far.objects.values()];
    expect(object?.body.length).toBeLessThan(1000);
  });

  test("never more frames in one body than the receiver reads", async () => {
    const rig = new Rig({ ageMsMax: 60_000 });
    rig.framesMax = 1;
    for (let n = 0; n < 3; n++) rig.spool.add(records(n, 1, { noise: noise(600_000) }));
    for (let n = 3; n < 20; n++) rig.spool.add(records(n, 1));
    await rig.drain();
    expect(rig.all()).toEqual(upTo(20));
    expect(rig.objects().map((object) => object.length)).toEqual([1, 1, 18]);
    for (const { body } of rig.far.objects.values()) expect(body.lastIndexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))).toBe(0);
  });

  test("each partition in its own lane, mixed frames split record by record", async () => {
    const rig = new Rig({ partition: hourly });
    rig.spool.add(records(0, 2), { timeMs: at("01:10:00"), stream: { source: "a" } });
    rig.spool.add(records(2, 2), { timeMs: at("02:10:00"), stream: { source: "a" } });
    rig.spool.add(
      [
        { n: 4, source: "a" },
        { n: 5, source: "b/../c" },
        { n: 6, source: "a" },
      ],
      { timeMs: at("01:14:00"), mixed: true, stream: {} },
    );
    await rig.drain();
    const lanes = Object.fromEntries(
      [...rig.far.objects.values()].map((object) => [object.lane, FarSide.records(object).map((record) => record["n"])]),
    );
    expect(lanes).toEqual({ "source=a/hour=01": [0, 1, 4, 6], "source=a/hour=02": [2, 3], "source=b%2F..%2Fc/hour=01": [5] });
  });

  test("only the sources in `from`, also of frames that do not say whose they are; the rest is passed, durably", async () => {
    const rig = new Rig({ from: ["a"] });
    rig.spool.add(records(0, 2), { stream: { from: "a", source: "other" } });
    rig.spool.add(records(2, 2), { stream: { from: "b", source: "a" } });
    rig.spool.add(
      [
        { n: 4, source: "a" },
        { n: 5, source: "b" },
      ],
      { mixed: true, stream: {} },
    );
    rig.spool.add(records(6, 5), { stream: { source: "b" } });
    await rig.drain();
    expect(rig.all()).toEqual([0, 1, 4]);
    expect(rig.spool.claims.get("lake")).toBe(11);
    rig.spool.drop(11);
    await rig.drain();
    expect(rig.board.counts()).toEqual({});
  });

  test("from now on only, for a new sink that is told so", async () => {
    const rig = new Rig({ start: "now" });
    rig.spool.add(records(0, 5));
    await rig.drain();
    rig.spool.add(records(5, 5));
    await rig.drain();
    expect(rig.all()).toEqual([5, 6, 7, 8, 9]);
  });
});

describe("when a batch closes", () => {
  const far = { ageMsMax: 3_600_000 };

  test("by its bytes as sent", async () => {
    const rig = new Rig({ ...far, bytesMax: 100_000 });
    for (let n = 0; n < 10; n++) rig.spool.add(records(n, 1, { noise: noise(40_000) }));
    await using runner = await rig.open();
    await soon(() => rig.far.objects.size === 4);
    for (const { body } of rig.far.objects.values()) expect(body.length).toBeLessThanOrEqual(100_000);
    rig.kill.abort();
    await runner.done;
  });

  test("by age", async () => {
    const rig = new Rig({ ageMsMax: 30 });
    await using runner = await rig.open();
    rig.spool.add(records(0, 1));
    await soon(() => rig.far.objects.size === 1);
    rig.spool.add(records(1, 1));
    await soon(() => rig.far.objects.size === 2);
    rig.kill.abort();
    await runner.done;
  });

  test("on flush, and when the spool wants room", async () => {
    const rig = new Rig(far);
    await using runner = await rig.open();
    rig.spool.add(records(0, 1));
    await soon(() => runner.status().oldest_undelivered_time !== undefined);
    expect(runner.status()).toMatchObject({ state: "running", lag_records: 1, delivered_sequence: -1 });
    runner.flush();
    await soon(() => rig.far.objects.size === 1);
    rig.spool.isPressed = true;
    rig.spool.add(records(1, 1));
    await soon(() => rig.far.objects.size === 2);
    rig.kill.abort();
    await runner.done;
  });

  test("not when the spool wants room that another sink holds", async () => {
    const rig = new Rig(far);
    for (let n = 0; n < 4; n++) rig.spool.add(records(n, 1));
    await rig.drain();
    rig.spool.isPressed = true;
    await using runner = await rig.open();
    rig.spool.add(records(4, 1));
    await soon(() => runner.status().oldest_undelivered_time !== undefined);
    await Bun.sleep(30);
    expect(rig.far.puts).toHaveLength(1);
    runner.flush();
    await soon(() => rig.far.objects.size === 2);
    rig.kill.abort();
    await runner.done;
  });

  test("not by the age it came to while the far side kept it waiting", async () => {
    const rig = new Rig({ ageMsMax: 1000, concurrency: 1, bytesMax: 60_000 });
    let let_go = (): void => {};
    const gate = new Promise<void>((resolve) => (let_go = resolve));
    rig.script = (batch, side) => gate.then(() => side.store(batch));
    for (let n = 0; n < 9; n++) rig.spool.add(records(n, 1, { noise: noise(20_000) }));
    await using runner = await rig.open();
    await soon(() => rig.far.puts.length === 1);
    await Bun.sleep(1200);
    let_go();
    rig.stop.abort();
    await runner.done;
    expect(rig.objects().map((object) => object.length)).toEqual([2, 2, 2, 2, 1]);
  });
});
