/** What the delivery loop does about each answer of the far side, and how lanes go beside each other. */
import { describe, expect, test } from "bun:test";
import { hourly, later, noise, records, Rig, soon, upTo, useRigs } from "../../test/support/rig.ts";
import { hang } from "../../test/support/sink.ts";
import { Bug } from "../core/assert.ts";
import { systemDoors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";

useRigs();

describe("faults", () => {
  test("later: tried again with backoff, health degraded until it works", async () => {
    const rig = new Rig();
    rig.script = () => (rig.far.puts.length < 4 ? later() : undefined);
    rig.spool.add(records(0, 1));
    await using runner = await rig.open();
    await soon(() => rig.far.puts.length >= 2);
    expect(runner.status()).toMatchObject({ state: "retrying", last_fault: { code: "far_away", message: "put", hint: "wait" } });
    expect(rig.board.reasons()).toMatchObject([{ component: "sinks.lake", code: "far_away", severity: "degraded" }]);
    await soon(() => rig.far.objects.size === 1);
    await soon(() => runner.status().batches === 1);
    expect(runner.status()).toMatchObject({ state: "running", retries: 3 });
    expect(rig.board.reasons()).toEqual([]);
    expect(new Set(rig.far.puts.map(({ name, digest }) => name + digest)).size).toBe(1);
    rig.stop.abort();
    await runner.done;
  });

  test("later with a wait asked for: waited for, but no longer than retry.max", async () => {
    const rig = new Rig({ retryMsMin: 1, retryMsMax: 50 });
    const times: number[] = [];
    rig.script = () => {
      times.push(performance.now());
      return times.length === 1 ? later({ waitMs: 60_000 }) : undefined;
    };
    rig.spool.add(records(0, 1));
    await using runner = await rig.open();
    await soon(() => rig.far.objects.size === 1);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(45);
    rig.stop.abort();
    await runner.done;
  });

  test.each(["denied", "poison", "never"] as const)("%s: failing at once, held, tried again every retry.max, nothing skipped", async (retry) => {
    const rig = new Rig();
    let refuse = true;
    rig.script = () => (refuse ? Promise.reject(new Fault({ code: "far_refuses", retry, message: "put" })) : undefined);
    rig.spool.add(records(0, 1));
    await using runner = await rig.open();
    await soon(() => rig.far.puts.length >= 2);
    expect(runner.status()).toMatchObject({ state: "denied", dead: 0 });
    expect(rig.board.reasons()).toMatchObject([{ code: "far_refuses", severity: "failing" }]);
    expect(rig.spool.claims.get("lake")).toBe(0);
    refuse = false;
    rig.stop.abort();
    await runner.done;
    expect(rig.all()).toEqual([0]);
    expect(rig.board.reasons()).toEqual([]);
  });

  test("an error that is none of ours: sink_failed, tried again; a bug ends the run", async () => {
    const rig = new Rig();
    rig.script = () => (rig.far.puts.length === 1 ? Promise.reject(new TypeError("undefined is not a function")) : undefined);
    rig.spool.add(records(0, 1));
    await rig.drain();
    expect(rig.board.counts()).toEqual({ sink_failed: 1 });
    rig.script = () => Promise.reject(new Bug("no"));
    rig.spool.add(records(1, 1));
    await using runner = await rig.open();
    expect(
      await runner.done.then(
        () => "done",
        (cause: unknown) => cause,
      ),
    ).toBeInstanceOf(Bug);
  });

  test("a code is cleared when it stands against no lane any more", async () => {
    const rig = new Rig({ partition: hourly });
    let open: (lane: string) => boolean = () => false;
    rig.script = (batch) => (open(batch.lane) ? undefined : later());
    rig.spool.add(records(0, 1), { stream: { source: "a" } });
    rig.spool.add(records(1, 1), { stream: { source: "b" } });
    await using runner = await rig.open();
    await soon(() => new Set(rig.far.puts.map(({ lane }) => lane)).size === 2);
    open = (lane) => lane.startsWith("source=a");
    await soon(() => runner.status().batches === 1);
    expect(rig.board.reasons()).toHaveLength(1);
    open = () => true;
    await soon(() => runner.status().batches === 2);
    expect(rig.board.reasons()).toEqual([]);
    rig.stop.abort();
    await runner.done;
  });
});

describe("records that a far side refuses for good", () => {
  test("are counted by reason, degrade health for five minutes, and are no delivered records", async () => {
    let ahead = 0;
    const rig = new Rig();
    rig.doors = { ...systemDoors, clock: { ...systemDoors.clock, monotonic: () => systemDoors.clock.monotonic() + ahead } };
    rig.script = async (batch, far) => {
      const receipt = await far.store(batch);
      return rig.far.puts.length > 1 ? receipt : { ...receipt, refused: { reasons: { too_old: 2, line_too_long: 1 }, example: "record 4: too old" } };
    };
    rig.spool.add(records(0, 10));
    await using runner = await rig.open();
    await soon(() => runner.status().batches === 1);
    expect(runner.status()).toMatchObject({ records: 7, refused_records: 3, refused_reasons: { too_old: 2, line_too_long: 1 }, lag_records: 0 });
    const message = "3 records were refused for good and are given up (2 too_old, 1 line_too_long); record 4: too old";
    expect(rig.board.reasons()).toMatchObject([{ component: "sinks.lake", code: "sink_records_refused", severity: "degraded", message }]);
    expect(rig.board.counts()).toEqual({ sink_records_refused: 3 });
    rig.spool.add(records(10, 1));
    await soon(() => runner.status().batches === 2);
    expect(runner.status()).toMatchObject({ records: 8, refused_records: 3 });
    expect(rig.board.reasons()).toHaveLength(1);
    ahead = 5 * 60_000;
    runner.status();
    expect(rig.board.reasons()).toEqual([]);
    rig.stop.abort();
    await runner.done;
  });
});

describe("lanes", () => {
  test("one batch of a lane at a time, in order; lanes side by side up to concurrency", async () => {
    const rig = new Rig({ partition: hourly, concurrency: 2, bytesMax: 50_000 });
    const flying: string[] = [];
    let most = 0;
    rig.script = async (batch, far) => {
      expect(flying).not.toContain(batch.lane);
      flying.push(batch.lane);
      most = Math.max(most, flying.length);
      await Bun.sleep(2);
      flying.splice(flying.indexOf(batch.lane), 1);
      return far.store(batch);
    };
    for (let n = 0; n < 30; n++) rig.spool.add(records(n, 1, { noise: noise(30_000) }), { stream: { source: "abc"[n % 3]! } });
    await rig.drain();
    expect(most).toBe(2);
    expect(rig.all()).toEqual(upTo(30));
    for (const lane of ["a", "b", "c"]) {
      const numbers = rig.far.puts.filter((put) => put.lane === `source=${lane}/hour=01`).map((put) => put.number);
      expect(numbers).toEqual(upTo(10));
    }
  });

  test("without partitions there are as many as concurrency says", async () => {
    const rig = new Rig({ concurrency: 3, bytesMax: 10_000 });
    rig.script = (_, __, signals) => hang(signals);
    for (let n = 0; n < 10; n++) rig.spool.add(records(n, 1, { noise: noise(10_000) }));
    await rig.cut(() => rig.far.puts.length === 3);
    expect(rig.far.puts.map(({ lane }) => lane)).toEqual(["0", "1", "2"]);
  });

  test("planning stands still while the far side does, whatever lies in the spool", async () => {
    const rig = new Rig({ partition: hourly, concurrency: 2, bytesMax: 10_000 });
    rig.script = (_, __, signals) => hang(signals);
    for (let n = 0; n < 200; n++) rig.spool.add(records(n, 1, { noise: noise(10_000) }), { stream: { source: "a" } });
    await using runner = await rig.open();
    await soon(() => rig.far.puts.length === 1);
    await Bun.sleep(50);
    expect(rig.spool.reads).toBeLessThanOrEqual(6);
    expect(runner.status()).toMatchObject({ lag_records: 200, delivered_sequence: -1 });
    rig.kill.abort();
    await runner.done;
  });
});
