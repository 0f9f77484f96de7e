/** What the `loki` source does in each situation that loki.md tells of, in simulated time. */
import { describe, expect, test } from "bun:test";
import { Fault } from "../../src/core/fault.ts";
import { codes, committed, end, identities, minuteMs, push, world } from "./rig.ts";

describe("tail", () => {
  test("brings an entry at once, with its time to the nanosecond, labels and metadata apart, line ends and all", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin({ labels: { env: "prod" } });
    await clock.pass(2000);
    const ns = BigInt(clock.now()) * 1_000_000n + 123_457n;
    fake.push([{ stream: { app: "web", App: "x", __stream_shard__: "3" }, values: [[String(ns), "one\ntwo \u0000 <b>", { "user-id": "7" }]] }]);
    await clock.pass(1500);
    const seconds = new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19);
    const { seenMs: _, ...record } = rig.records[0] ?? { seenMs: 0 };
    expect(record as unknown).toEqual({
      timestamp: `${seconds}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`,
      host: "edge-1",
      source: "app",
      // Readers do not keep names apart that differ in case only.
      labels: { App: "x", app_2: "web", env: "prod" },
      metadata: { user_id: "7" },
      message: "one\ntwo \u0000 <b>",
    });
    expect(life.source.status().tail).toBe("up");
    await end(life, clock);
  });

  test("streams beyond the sixth of a push are found by counts, within settle, a bucket and a sweep", async () => {
    const { clock, fake, rig } = world();
    fake.faults.slots = 6;
    const life = await rig.begin();
    await clock.pass(30_000);
    for (let n = 0; n < 20; n++) push(fake, [`line of ${n}`], { pod: String(n) });
    fake.push(
      Array.from({ length: 20 }, (_, n) => ({ stream: { app: "web", pod: `b${n}` }, values: [[`${clock.now()}000000`, `at once ${n}`]] as const })),
    );
    await clock.pass(2000);
    expect(rig.records.length).toBe(26);
    await clock.pass(45_000);
    expect(committed(rig)).toEqual(identities(fake));
    await end(life, clock);
  });

  test("is replaced before the server ends it, and nothing is ever amiss", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    let most = 0;
    for (let minute = 0; minute < 125; minute++) {
      push(fake, [`minute ${minute}`]);
      await clock.pass(minuteMs);
      most = Math.max(most, fake.tails.size);
    }
    expect(life.board.counts()).toEqual({});
    expect(most).toBe(1);
    expect(committed(rig)).toEqual(identities(fake));
    await end(life, clock);
  });

  test("that is one too many is no loss: sweeps bring everything, and health says so", async () => {
    const { clock, fake, rig } = world();
    fake.limits.tails = 0;
    const life = await rig.begin();
    await clock.pass(5000);
    push(fake, ["a", "b"]);
    await clock.pass(45_000);
    expect(codes(life)).toEqual(["degraded loki_tail_limit"]);
    expect(committed(rig)).toEqual(identities(fake));
    fake.limits.tails = 1;
    await clock.pass(45_000);
    expect(codes(life)).toEqual([]);
    await end(life, clock);
  });

  test("that is silent, without even a ping, is dead after fifteen seconds", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    await clock.pass(5000);
    fake.faults.mute = true;
    await clock.pass(22_000);
    expect(life.board.counts()["loki_tail_closed"]).toBeGreaterThan(0);
    fake.faults.mute = false;
    push(fake, ["while it was dead"]);
    await clock.pass(60_000);
    expect(codes(life)).toEqual([]);
    expect(rig.records.length).toBe(1);
    await end(life, clock);
  });

  test("that one line from the future holds up is opened again", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    await clock.pass(5000);
    const [first] = fake.tails;
    push(fake, ["from the future"], { agoMs: -8 * minuteMs });
    for (let n = 0; n < 40; n++) {
      await clock.pass(5000);
      push(fake, [`line ${n}`]);
    }
    expect(fake.tails.has(first as never)).toBe(false);
    await clock.pass(7 * minuteMs);
    expect(committed(rig)).toEqual(identities(fake));
    await end(life, clock);
  });
});

describe("query_range", () => {
  test("one time that fills many pages is read stream by stream; what no page shows is counted as lost", async () => {
    const { clock, fake, rig } = world();
    fake.limits.entries = 50;
    const ns = `${clock.now() - 1000}000000`;
    const lines = (pod: string, count: number) => ({
      stream: { app: "web", pod },
      values: Array.from({ length: count }, (_, n) => [ns, `${pod} ${n}`] as const),
    });
    fake.push([lines("a", 40), lines("b", 45), lines("c", 49), lines("d", 80)]);
    push(fake, ["after"]);
    const life = await rig.begin({ mode: "poll", start: "1h" });
    await clock.pass(6 * minuteMs);
    expect(rig.records.length).toBe(40 + 45 + 49 + 50 + 1);
    expect(life.source.status().lost_entries).toBeGreaterThan(0);
    expect(life.board.counts()["loki_time_crowded"]).toBeGreaterThan(0);
    await end(life, clock);
  });

  test("entries later than lateness are counted as lost, with their minute", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin({ mode: "poll", lateness: "1m" });
    for (let minute = 0; minute < 20; minute++) {
      push(fake, [`minute ${minute}`]);
      await clock.pass(minuteMs);
    }
    push(fake, ["much too late"], { agoMs: 11 * minuteMs });
    await clock.pass(11 * minuteMs);
    expect(rig.records.length).toBe(20);
    expect(life.board.counts()).toEqual({ loki_entries_too_late: 1 });
    expect(life.source.status().lost_entries).toBe(1);
    await end(life, clock);
  });

  test("start: oldest finds what lies 50 days back, beyond the longest range the server allows", async () => {
    const { clock, fake, rig } = world();
    const ns = BigInt(clock.now() - 50 * 24 * 3_600_000) * 1_000_000n;
    fake.store.place({ app: "web" }, { ns, line: "old", metadata: {} });
    push(fake, ["new"]);
    const life = await rig.begin({ start: "oldest" });
    await clock.pass(5 * minuteMs);
    expect(rig.records.map(({ message }) => message)).toEqual(["old", "new"]);
    await end(life, clock);
  });

  test("start: now leaves out what was there, with once it returns by itself", async () => {
    const { clock, fake, rig } = world();
    push(fake, ["before"], { agoMs: 5000 });
    const life = await rig.begin({}, true);
    await clock.pass(5000);
    await life.done;
    expect(rig.records).toEqual([]);
    push(fake, ["after"]);
    const second = await rig.begin({}, true);
    await clock.pass(5000);
    await second.done;
    expect(rig.records.map(({ message }) => message)).toEqual(["after"]);
  });

  test("429 for a minute: waits, says so, goes on", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin({ mode: "poll" });
    await clock.pass(5000);
    fake.faults.busy = true;
    push(fake, ["meanwhile"]);
    const before = fake.asked.length;
    await clock.pass(minuteMs);
    expect(codes(life)).toEqual(["degraded loki_busy"]);
    expect(fake.asked.length - before).toBeLessThan(5);
    fake.faults.busy = false;
    await clock.pass(90_000);
    expect(codes(life)).toEqual([]);
    expect(rig.records.length).toBe(1);
    await end(life, clock);
  });

  test("no tenant is a failure with a hint, and heals by itself", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin({ tenant: undefined });
    await clock.pass(5000);
    expect(codes(life)).toContain("failing loki_unauthorized");
    expect(life.board.reasons().find(({ code }) => code === "loki_unauthorized")?.hint).toContain("set tenant");
    fake.auth = false;
    await clock.pass(3 * minuteMs);
    expect(codes(life)).toEqual([]);
    await end(life, clock);
  });
});

describe("what was emitted", () => {
  test("60,000 entries: keys move into a file, positions stay small, a kill repeats nothing", async () => {
    const { clock, fake, rig } = world();
    for (let n = 0; n < 60; n++)
      push(
        fake,
        Array.from({ length: 1000 }, (_, line) => `${n} ${line}`),
        { agoMs: 60_000 - n * 500 },
      );
    for (let lives = 0; lives < 4; lives++) {
      const life = await rig.begin({ start: "1h" });
      await clock.pass(lives === 3 ? 60_000 : 3000);
      life.kill();
      await clock.pass(500);
      await life.done;
    }
    expect(rig.records.length).toBe(60_000);
    expect(committed(rig)).toEqual(identities(fake));
    // 16,384 keys of 8 bytes in base64 and what came since the last move.
    expect(JSON.stringify([...rig.positions]).length).toBeLessThan(500_000);
    expect([...rig.positions.keys()].some((key) => key.startsWith("f:"))).toBe(true);
  });

  test("while nothing becomes durable there is no tail; afterwards query_range resumes", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    await clock.pass(5000);
    rig.held = true;
    for (let n = 0; n < 80; n++) {
      push(
        fake,
        Array.from({ length: 100 }, (_, line) => `${n} ${line} ${"x".repeat(1000)}`),
      );
      await clock.pass(600);
    }
    expect(life.source.status().tail).toBe("down");
    rig.held = false;
    await clock.pass(2 * minuteMs);
    expect(committed(rig)).toEqual(identities(fake));
    expect(life.source.status().tail).toBe("up");
    await end(life, clock);
  });

  test("what was rejected is read again", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    await clock.pass(5000);
    rig.refuse = new Fault({ code: "test_refused", retry: "later", message: "not now" });
    push(fake, ["a", "b"]);
    await clock.pass(2000);
    rig.refuse = undefined;
    await clock.pass(30_000);
    expect(committed(rig)).toEqual(identities(fake));
    expect(life.board.counts()["test_refused"]).toBeGreaterThan(0);
    await end(life, clock);
  });
});
