/** Forks, restarts and records that are gone, case by case. Lives cut anywhere are in restart.test.ts. */
import { describe, expect, test } from "bun:test";
import { hourly, noise, records, Rig, soon, upTo, useRigs } from "../../test/support/rig.ts";
import { hang } from "../../test/support/sink.ts";
import { MemorySpool } from "../../test/support/spool.ts";
import { systemDoors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";

useRigs();

describe("forked", () => {
  test("the lane goes on in an epoch of its own from number 0, counted; what was there stays", async () => {
    const rig = new Rig({ partition: hourly, concurrency: 4, bytesMax: 10_000 });
    for (let n = 0; n < 4; n++) rig.spool.add(records(n, 1, { noise: noise(10_000) }), { stream: { source: "a" } });
    rig.script = (batch, far) => {
      if (batch.number === 1 && batch.epoch === "00000001") far.plant(batch);
      return undefined;
    };
    await rig.drain();
    expect(rig.all()).toEqual(upTo(4));
    expect(rig.board.counts()).toEqual({ spool_forked: 1 });
    const delivered = [...rig.far.objects.values()].filter((object) => !object.foreign);
    const puts = rig.far.puts.filter(({ name }) => delivered.some((object) => object.name === name));
    expect(puts.map(({ number }) => number)).toEqual([0, 0, 1, 2]);
    expect(new Set(puts.slice(1).map(({ epoch }) => epoch)).size).toBe(1);
  });
});

describe("after a restart", () => {
  test("what was cut goes first, under the same name and with the same bytes", async () => {
    const rig = new Rig({ bytesMax: 10_000, concurrency: 2 });
    rig.script = (_, __, signals) => hang(signals);
    for (let n = 0; n < 6; n++) rig.spool.add(records(n, 1, { noise: noise(10_000) }));
    const begunMs = performance.now();
    await rig.cut(() => rig.far.puts.length === 2);
    expect(performance.now() - begunMs).toBeLessThan(5000);
    const first = rig.far.puts.splice(0);
    rig.spool.epoch = "00000002";
    rig.script = () => undefined;
    await rig.drain();
    expect(rig.far.puts.slice(0, 2)).toEqual(first);
    expect(rig.far.puts[2]?.epoch).toBe("00000002");
    expect(rig.all()).toEqual(upTo(6));
  });

  test("a note of the sink is there", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 1));
    rig.script = async (batch, _, signals) => {
      await batch.setNote({ upload: "17" });
      return hang(signals);
    };
    let noted = false;
    await using runner = await rig.open();
    await soon(() => rig.far.puts.length === 1);
    await soon(async () => (await Bun.file(rig.journalPath).text()).includes('"upload"'));
    rig.kill.abort();
    await runner.done;
    rig.script = (batch) => {
      noted = Bun.deepEquals(batch.note, { upload: "17" });
      return undefined;
    };
    await rig.drain();
    expect(noted).toBe(true);
  });

  test("a compressor that gives other bytes: the same name, planned with the new digest, and told", async () => {
    const rig = new Rig({ codec: "gzip" });
    rig.script = (_, __, signals) => hang(signals);
    rig.spool.add(records(0, 100));
    await rig.cut(() => rig.far.puts.length === 1);
    rig.script = () => undefined;
    rig.doors = { ...systemDoors, compress: { ...systemDoors.compress, gzip: (bytes) => systemDoors.compress.gzip(bytes, 1) } };
    await rig.drain();
    const [first, second, third] = rig.far.puts;
    expect(second).toEqual(first);
    expect(third).toMatchObject({ name: first!.name, number: first!.number });
    expect(third?.digest).not.toBe(first!.digest);
    expect(rig.board.counts()).toMatchObject({ batch_encoded_anew: 1 });
    expect(rig.all()).toEqual(upTo(100));
  });

  test("the journal of a spool this one was copied from: its plans are not ours to send", async () => {
    const rig = new Rig();
    rig.script = (_, __, signals) => hang(signals);
    rig.spool.add(records(0, 3));
    await rig.cut(() => rig.far.puts.length === 1);
    rig.spool.id = "f".repeat(32);
    rig.script = () => undefined;
    await rig.drain();
    expect([...rig.far.objects.values()].map(({ name }) => name.includes("-ffffffffffffffff-"))).toEqual([true]);
    expect(rig.all()).toEqual(upTo(3));
  });

  test("a spool that has lost its newest records: what comes in their place is delivered", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 5));
    await rig.drain();
    rig.spool = new MemorySpool();
    rig.spool.epoch = "00000002";
    rig.spool.add(records(0, 3));
    rig.script = (_, __, signals) => hang(signals);
    await rig.cut(() => true);
    expect(rig.board.counts()).toEqual({ journal_ahead_of_spool: 1 });
    rig.spool.add(records(100, 5));
    rig.script = () => undefined;
    await rig.drain();
    expect(rig.all()).toEqual([0, 1, 2, 3, 4, 100, 101, 102, 103, 104]);
  });
});

describe("records the spool has lost", () => {
  test("are counted once and passed, whether told of, damaged or dropped", async () => {
    const rig = new Rig({ bytesMax: 10_000 });
    rig.spool.add(records(0, 2));
    rig.spool.lose(3);
    const damaged = rig.spool.add(records(5, 4));
    rig.spool.add(records(9, 1));
    rig.spool.damage(damaged);
    await rig.drain();
    expect(rig.all()).toEqual([0, 1, 9]);
    expect(rig.board.counts()).toEqual({ spool_records_lost: 7 });
    expect(rig.spool.claims.get("lake")).toBe(10);
    rig.spool.add(records(10, 6));
    rig.spool.add(records(16, 1));
    rig.spool.drop(16);
    await rig.drain();
    expect(rig.all()).toEqual([0, 1, 9, 16]);
    expect(rig.board.counts()).toEqual({ spool_records_lost: 6 });
  });

  test("of a batch that was planned already: the rest of it is planned anew and delivered", async () => {
    const rig = new Rig();
    const damaged = rig.spool.add(records(0, 2));
    rig.spool.add(records(2, 2));
    rig.script = (_, __, signals) => hang(signals);
    await rig.cut(() => rig.far.puts.length === 1);
    rig.spool.damage(damaged);
    rig.script = () => undefined;
    await rig.drain();
    expect(rig.all()).toEqual([2, 3]);
    expect(rig.board.counts()).toMatchObject({ spool_records_lost: 2 });
    expect(rig.spool.claims.get("lake")).toBe(4);
  });

  test("of a batch that had arrived, its answer lost: nothing of it is sent again, whoever is asked", async () => {
    for (const ask of ["holdings", "denied", "away"] as const) {
      const rig = new Rig();
      const damaged = rig.spool.add(records(0, 2));
      rig.spool.add(records(2, 2));
      rig.script = async (batch, far, signals) => {
        await far.store(batch);
        return hang(signals);
      };
      await rig.cut(() => rig.far.objects.size === 1);
      rig.spool.damage(damaged);
      rig.script = () => undefined;
      let asked = 0;
      const look = rig.far.holdings.describe.bind(rig.far.holdings);
      rig.far.holdings.describe = (held, kill) => {
        const retry = ask === "denied" ? "denied" : "later";
        if (ask === "holdings" || (ask === "away" && ++asked > 2)) return look(held, kill);
        return Promise.reject(new Fault({ code: "far_side_refuses", retry, message: "look at it" }));
      };
      await rig.drain();
      // Where nobody may look, what is left is shipped: twice at worst, and never not at all.
      expect(rig.all()).toEqual(ask === "denied" ? [0, 1, 2, 2, 3, 3] : [0, 1, 2, 3]);
      expect(rig.board.counts()["spool_records_lost"]).toBe(ask === "denied" ? 2 : undefined);
      expect(rig.spool.claims.get("lake")).toBe(4);
    }
  });

  test("all of a planned batch: it is given up, and the claim passes it", async () => {
    const rig = new Rig();
    rig.spool.add(records(0, 2));
    rig.script = (_, __, signals) => hang(signals);
    await rig.cut(() => rig.far.puts.length === 1);
    rig.spool.drop(2);
    rig.spool.add(records(2, 1));
    rig.script = () => undefined;
    await rig.drain();
    expect(rig.all()).toEqual([2]);
    expect(rig.spool.claims.get("lake")).toBe(3);
  });
});
