/** What goes wrong for long, or again and again: reconnects and their cost, declared loss, the audit, clocks, tenants. */
import { describe, expect, test } from "bun:test";
import { codes, committed, end, identities, minuteMs, push, Rig, world } from "./rig.ts";

const secondMs = 1000;

describe("a tail", () => {
  test("that the server ends after ten minutes is replaced before that from the second time on", async () => {
    const { clock, fake, rig } = world();
    fake.limits.tailMs = 10 * minuteMs;
    let ended = 0;
    const life = await rig.begin();
    for (let minute = 0; minute < 60; minute++) {
      push(fake, [`minute ${minute}`]);
      for (const tail of fake.tails) tail.ended = () => ended++;
      await clock.pass(minuteMs);
    }
    expect(ended).toBe(1);
    expect(committed(rig)).toEqual(identities(fake));
    await end(life, clock);
  });

  test("that is closed as soon as it opens, in good order, is not opened again at once for ever", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    let opened = 0;
    for (let passed = 0; passed < 2 * minuteMs; passed += 100) {
      for (const tail of fake.tails) {
        opened++;
        tail.close(1000, "");
      }
      await clock.pass(100);
    }
    expect(opened).toBeGreaterThan(3);
    expect(opened).toBeLessThan(15);
    await end(life, clock);
  });

  test("that lives for minutes between two cuts is opened again within seconds, after the twentieth as after the first", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    for (let cut = 0; cut < 20; cut++) {
      await clock.pass(2 * minuteMs);
      for (const tail of fake.tails) tail.close(1006, "");
      await clock.pass(3 * secondMs);
      expect({ cut, tail: life.source.status().tail }).toEqual({ cut, tail: "up" });
    }
    await end(life, clock);
  });

  test("that names what it dropped in every frame costs a sweep an interval, not one a frame", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    await clock.pass(minuteMs);
    fake.faults.reported = 0.3;
    const before = fake.asked.length;
    for (let second = 0; second < 120; second++) {
      push(
        fake,
        Array.from({ length: 10 }, (_, line) => `${second} ${line}`),
      );
      await clock.pass(secondMs);
    }
    // Twelve intervals of 20 s at most (a notice may come between two), four questions each.
    expect(fake.asked.length - before).toBeLessThan(60);
    fake.faults.reported = 0;
    await clock.pass(minuteMs);
    expect(committed(rig)).toEqual(identities(fake));
    expect(life.board.counts()["loki_tail_dropped"]).toBeGreaterThan(50);
    await end(life, clock);
  });

  test("after a cut, counts tell what is there already: it is not read again", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    for (let second = 0; second < 180; second++) {
      push(
        fake,
        Array.from({ length: 100 }, (_, line) => `${second} ${line} ${"x".repeat(200)}`),
      );
      await clock.pass(secondMs);
    }
    const before = fake.answerBytes;
    for (const tail of fake.tails) tail.close(1006, "");
    await clock.pass(5 * secondMs);
    expect(life.source.status().tail).toBe("up");
    // Twice (at the cut and when it is up again) at most 20 s of 100 lines of 250 bytes; two minutes would be 3 MB each.
    expect(fake.answerBytes - before).toBeLessThan(1_400_000);
    await clock.pass(minuteMs);
    expect(committed(rig)).toEqual(identities(fake));
    await end(life, clock);
  });

  test("is closed while the spool takes nothing, however little there is", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    await clock.pass(5 * secondMs);
    rig.held = true;
    push(fake, ["one"]);
    await clock.pass(5 * secondMs);
    expect({ tails: fake.tails.size, tail: life.source.status().tail }).toEqual({ tails: 0, tail: "down" });
    rig.held = false;
    await clock.pass(10 * secondMs);
    expect(rig.records.length).toBe(1);
    expect(life.source.status().tail).toBe("up");
    await end(life, clock);
  });

  test.each([
    [401, "failing loki_unauthorized", 3],
    [404, "degraded loki_tail_refused", 3],
    [429, "degraded loki_busy", 5],
    [503, "degraded loki_tail_refused", 9],
  ])("whose handshake is answered %i says so, waits as fits, and comes up by itself", async (status, code, most) => {
    const { clock, fake, rig } = world();
    let asked = 0;
    fake.faults.handshake = () => (asked++, status);
    const life = await rig.begin();
    push(fake, ["meanwhile"]);
    await clock.pass(2 * minuteMs);
    expect(codes(life)).toEqual([code]);
    expect(asked).toBeGreaterThan(1);
    expect(asked).toBeLessThanOrEqual(most);
    expect(rig.records.length).toBe(1);
    delete fake.faults.handshake;
    await clock.pass(2 * minuteMs);
    expect(codes(life)).toEqual([]);
    await end(life, clock);
  });
});

describe("declared loss", () => {
  test("later than lateness: how many, in which minute, in which stream; quiet minutes too; a restart forgets nothing", async () => {
    const { clock, fake, rig } = world();
    let life = await rig.begin({ mode: "poll", lateness: "1m" });
    for (let minute = 0; minute < 20; minute++) {
      if (minute % 4 === 0) for (const pod of ["a", "b"]) push(fake, [`minute ${minute}`], { pod });
      await clock.pass(minuteMs);
    }
    push(fake, ["much too late"], { agoMs: 12 * minuteMs, pod: "b" });
    const minute = `${new Date(Math.floor((clock.now() - 12 * minuteMs) / minuteMs) * minuteMs).toISOString().slice(0, 19)}Z`;
    await clock.pass(11 * minuteMs);
    const stream = '{"app":"web","pod":"b"}';
    const lost = { minute, stream, reason: "loki_entries_too_late", entries: 1 };
    expect(life.source.status()).toMatchObject({ lost_entries: 1, losses: [lost] });
    life.kill();
    await clock.pass(100);
    await life.done;
    life = await rig.begin({ mode: "poll", lateness: "1m" });
    await clock.pass(minuteMs);
    expect(life.source.status()).toMatchObject({ lost_entries: 1, losses: [lost] });
    // A minute that had nothing, left behind before the restart.
    push(fake, ["far too late"], { agoMs: 22 * minuteMs, pod: "a" });
    await clock.pass(11 * minuteMs);
    expect(life.source.status().lost_entries).toBe(2);
    expect(life.source.status().losses?.[1]).toMatchObject({ entries: 1, reason: "loki_entries_too_late" });
    await end(life, clock);
  });

  test("an entry later than lateness that the tail brought is not lost, not even after a kill", async () => {
    const { clock, fake, rig } = world();
    let life = await rig.begin({ lateness: "1m" });
    for (let minute = 0; minute < 15; minute++) {
      push(fake, [`minute ${minute}`]);
      await clock.pass(minuteMs);
    }
    push(fake, ["late, but by tail"], { agoMs: 9 * minuteMs });
    await clock.pass(secondMs);
    life.kill();
    await clock.pass(100);
    await life.done;
    life = await rig.begin({ lateness: "1m" });
    await clock.pass(12 * minuteMs);
    expect(committed(rig)).toEqual(identities(fake));
    expect(life.source.status()).toMatchObject({ lost_entries: 0, losses: [] });
    await end(life, clock);
  });

  test("equal times beyond any page: the exact number by the counts, once, whatever is read again", async () => {
    const { clock, fake, rig } = world();
    fake.limits.entries = 50;
    const ns = `${clock.now() - 1000}000000`;
    for (const pod of ["a", "b"])
      fake.push([{ stream: { app: "web", pod }, values: Array.from({ length: pod === "a" ? 30 : 130 }, (_, n) => [ns, `${n}`] as const) }]);
    let life = await rig.begin({ mode: "poll", start: "1h" });
    await clock.pass(7 * minuteMs);
    const loss = { stream: '{"app":"web","pod":"b"}', reason: "loki_time_crowded", entries: 80 };
    expect(rig.records.length).toBe(80);
    expect(life.source.status()).toMatchObject({ lost_entries: 80, losses: [loss] });
    life.kill();
    await clock.pass(100);
    await life.done;
    life = await rig.begin({ mode: "poll", start: "1h" });
    await clock.pass(12 * minuteMs);
    expect(life.source.status()).toMatchObject({ lost_entries: 80, losses: [loss] });
    await end(life, clock);
  });
});

describe("the audit", () => {
  test("shows each minute, and a difference that lasts is a fault until it is gone", async () => {
    const { clock, fake, rig } = world();
    const life = await rig.begin();
    const minute = Math.floor(clock.now() / minuteMs) * 60 + 60;
    for (let n = 0; n < 8; n++) {
      push(fake, [`a ${n}`, `b ${n}`]);
      await clock.pass(minuteMs);
    }
    fake.faults.phantoms.set(minute, 3);
    await clock.pass(20 * minuteMs);
    const row = (life.source.status().minutes ?? []).find((one) => Date.parse(one.minute) === minute * 1000);
    expect(row).toMatchObject({ server: 5, held: 2 });
    expect(codes(life)).toEqual(["degraded loki_counts_differ"]);
    expect(life.board.reasons()[0]?.message).toContain(new Date(minute * 1000).toISOString().slice(0, 16));
    fake.faults.phantoms.clear();
    await clock.pass(6 * minuteMs);
    expect(codes(life)).toEqual([]);
    expect(life.source.status().audit).toBe("counts");
    await end(life, clock);
  });

  test("a query whose lines a stage cannot parse is counted without the error's label", async () => {
    const { clock, fake, rig } = world();
    fake.faults.uncountable = "errors";
    const life = await rig.begin({ query: '{app="web"} | json' });
    push(fake, ["not json"]);
    await clock.pass(2 * minuteMs);
    push(fake, ["not json either"]);
    await clock.pass(10 * minuteMs);
    expect(life.source.status().audit).toBe("counts");
    expect(life.source.status().minutes?.length).toBeGreaterThan(5);
    expect(committed(rig).length).toBe(2);
    await end(life, clock);
  });

  test("where nothing can be counted everything is read, lateness twice in its length, and it is tried again", async () => {
    const { clock, fake, rig } = world();
    fake.faults.uncountable = true;
    fake.faults.silent = 1;
    const life = await rig.begin({ lateness: "1h" });
    for (let minute = 0; minute < 40; minute++) {
      push(fake, [`minute ${minute}`]);
      if (minute === 5) push(fake, ["late"], { agoMs: 4 * minuteMs });
      await clock.pass(minuteMs);
    }
    expect(life.source.status()).toMatchObject({ audit: "off", minutes: [] });
    expect(committed(rig)).toEqual(identities(fake));
    const wide = fake.asked.filter(({ path }) => !path.includes("count_over_time") && widthMs(path) > 10 * minuteMs);
    expect(wide.length).toBeLessThanOrEqual(3);
    fake.faults.uncountable = false;
    await clock.pass(12 * minuteMs);
    expect(life.source.status().audit).toBe("counts");
    await end(life, clock);
  });
});

describe("the way", () => {
  test("a proxy that eats the encoding flag from queries is told of", async () => {
    const { clock, fake, rig } = world();
    fake.faults.flagless = true;
    const life = await rig.begin();
    push(fake, ["one"]);
    await clock.pass(minuteMs);
    expect(codes(life)).toContain("degraded loki_flags_missing");
    expect(rig.records.length).toBe(1);
    fake.faults.flagless = false;
    await clock.pass(2 * minuteMs);
    for (const tail of fake.tails) tail.close(1006, "");
    await clock.pass(minuteMs);
    expect(codes(life)).toEqual([]);
    await end(life, clock);
  });

  test.each([-90, 90])("a server whose clock differs by %i s: what is pushed now is there within settle and two sweeps", async (seconds) => {
    const { clock, fake, rig } = world();
    fake.faults.skewMs = seconds * secondMs;
    const life = await rig.begin({ mode: "poll" });
    await clock.pass(minuteMs);
    for (let n = 0; n < 5; n++) {
      push(fake, [`line ${n}`], { agoMs: -seconds * secondMs });
      await clock.pass(51 * secondMs);
      expect(rig.records.length).toBe(n + 1);
    }
    await end(life, clock);
  });

  test("several sources for tenants of their own share nothing", async () => {
    const { clock, fake, rig } = world();
    const second = new Rig(fake, clock);
    const lives = [await rig.begin({ tenant: "t1" }), await second.begin({ tenant: "t2" })];
    await clock.pass(5 * secondMs);
    push(fake, ["of the first"]);
    fake.push([{ stream: { app: "web" }, values: [[`${clock.now()}000000`, "of the second"]] }], "t2");
    await clock.pass(2 * minuteMs);
    expect(rig.records.map(({ message }) => message)).toEqual(["of the first"]);
    expect(second.records.map(({ message }) => message)).toEqual(["of the second"]);
    for (const life of lives) await end(life, clock);
  });

  test("late lines that came while the source was away are found by the sweep after it", async () => {
    const { clock, fake, rig } = world();
    let life = await rig.begin();
    push(fake, ["before"]);
    await clock.pass(5 * minuteMs);
    await end(life, clock);
    push(fake, ["late, meanwhile"], { agoMs: 55 * minuteMs - 5 * minuteMs, pod: "b" });
    push(fake, ["a little late"], { agoMs: 4 * minuteMs });
    await clock.pass(30 * minuteMs);
    life = await rig.begin();
    await clock.pass(minuteMs);
    // The first is from before the start of all.
    expect(rig.records.map(({ message }) => message)).toEqual(["before", "a little late"]);
    await end(life, clock);
  });
});

/** How long a range a request asks for. */
function widthMs(path: string): number {
  const params = new URL(path, "http://loki").searchParams;
  return Number((BigInt(params.get("end") ?? 0) - BigInt(params.get("start") ?? 0)) / 1_000_000n);
}
