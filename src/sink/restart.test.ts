/**
 * Deliveries cut anywhere: for each seed a sink that stores, refuses, loses its answer or hangs is killed again and again,
 * the disk forgetting what was not synced, until a last life may finish. Then every record lies in the far side exactly
 * once, in its partition, and no claim ever passed one that had not arrived.
 *
 *     LOGFERRY_SEED=17 LOGFERRY_SEEDS=1 bun test src/sink/restart.test.ts
 */
import { expect, test } from "bun:test";
import { gunzipSync, gzipSync } from "node:zlib";
import { MemoryDisk } from "../../test/support/disk.ts";
import { FarSide, hang, scriptedKind, testDelivery, type Script } from "../../test/support/sink.ts";
import { MemorySpool } from "../../test/support/spool.ts";
import { createBoard } from "../core/board.ts";
import type { Clock } from "../core/clock.ts";
import type { Compress } from "../core/compress.ts";
import type { Delivery } from "../core/contract.ts";
import { systemDoors, type Doors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";
import { silent } from "../core/log.ts";
import { createMeter } from "../core/meter.ts";
import { openSink } from "./deliver.ts";

const seedFirst = Number(process.env["LOGFERRY_SEED"] ?? 1);
const seeds = Number(process.env["LOGFERRY_SEEDS"] ?? 250);

/** mulberry32: small, seeded, good enough to choose by. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A hundred times as fast: backoffs and ages pass in fractions of a millisecond. */
const speed = 100;
const fastClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now() * speed,
  sleep: (ms, ...signals) => systemDoors.clock.sleep(ms / speed, ...signals),
};

/** On this thread: a pool would make most of the seconds of this test. */
const compress: Compress = {
  zstd: async (bytes, level) => Bun.zstdCompressSync(bytes, { level }),
  unzstd: async (bytes) => Bun.zstdDecompressSync(bytes),
  gzip: async (bytes, level) => gzipSync(bytes, { level }),
  gunzip: async (bytes) => gunzipSync(bytes),
};

const meter = createMeter();
const hourMs = 3_600_000;
const startMs = Date.parse("2026-11-23T01:00:00Z");

class World {
  readonly random: () => number;
  readonly disk = new MemoryDisk();
  readonly spool = new MemorySpool();
  readonly far = new FarSide();
  readonly doors: Doors;
  readonly delivery: Delivery;
  readonly framesMax: number | undefined;
  /** Records by sequence; undefined: lost, or not for this sink. */
  readonly expected: ({ n: number; source: string; timeMs: number } | undefined)[] = [];
  faulty = true;
  broken: Error | undefined;

  constructor(seed: number) {
    const random = seeded(seed);
    this.random = random;
    this.doors = {
      ...systemDoors,
      disk: this.disk,
      clock: fastClock,
      compress,
      random: { next: random, bytes: (count) => Uint8Array.from({ length: count }, () => random() * 256) },
    };
    const partition = { template: "source={source}/hour=%H", zone: "UTC" };
    this.delivery = {
      ...testDelivery,
      codec: (["zstd", "zstd", "gzip", "none"] as const)[this.below(4)] ?? "zstd",
      bytesMax: 100 + this.below(2000),
      ageMsMax: 20 + this.below(300),
      concurrency: 1 + this.below(4),
      ...(random() < 0.6 ? { partition } : {}),
      ...(random() < 0.3 ? { from: ["a", "b"] } : {}),
    };
    this.framesMax = this.delivery.partition === undefined && random() < 0.3 ? 1 : undefined;
    this.spool.onClaim = (_, sequence) => this.#checkClaim(sequence);
  }

  below(count: number): number {
    return Math.floor(this.random() * count);
  }

  grow(frames: number): void {
    for (let i = 0; i < frames; i++) {
      if (this.random() < 0.03) {
        this.spool.lose(3);
        this.expected.push(undefined, undefined, undefined);
        continue;
      }
      const mixed = this.random() < 0.3;
      const source = this.#source();
      const timeMs = startMs + this.below(3) * hourMs;
      const records = Array.from({ length: 1 + this.below(12) }, (_, at) => ({
        n: this.expected.length + at,
        source: mixed ? this.#source() : source,
      }));
      this.spool.add(records, { timeMs, mixed, stream: mixed ? {} : { from: source, source } });
      for (const record of records) this.expected.push(this.#wanted(record.source) ? { ...record, timeMs } : undefined);
    }
  }

  #source(): string {
    return "abc"[this.below(3)] ?? "a";
  }

  #wanted(source: string): boolean {
    return this.delivery.from?.includes(source) ?? true;
  }

  readonly script: Script = (batch, far, signals) => {
    const dice = this.faulty ? this.random() : 1;
    if (dice < 0.1) return hang(signals);
    if (dice < 0.2) return Promise.reject(new Fault({ code: "far_away", retry: "later", message: "put" }));
    if (dice < 0.25) return Promise.reject(new Fault({ code: "far_denied", retry: "denied", message: "put" }));
    if (dice < 0.3) return Promise.reject(new Error("thrown"));
    // A copy of this spool was there before.
    if (dice < 0.34) far.plant(batch);
    // Stored, but nobody hears of it.
    if (dice < 0.45) return far.store(batch).then(() => Promise.reject(new Fault({ code: "answer_lost", retry: "later", message: "put" })));
    return undefined;
  };

  /** One life of the sink, ended by `kill` after some turns, or by `stop` once all has arrived. */
  async live(killed: boolean): Promise<void> {
    const kill = new AbortController();
    const stop = new AbortController();
    const runner = await openSink({
      name: "lake",
      kind: scriptedKind(this.far, this.script, this.framesMax),
      config: this.delivery,
      reader: this.spool,
      journalPath: "spool/lake.journal",
      context: { name: "lake", host: "edge-1", spoolId: this.spool.id, doors: this.doors, board: createBoard(silent, Date.now), log: silent },
      meter,
    });
    const running = runner.run({ stop: stop.signal, kill: kill.signal });
    if (killed) {
      for (let turns = this.below(60); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      this.grow(this.below(4));
      if (this.random() < 0.3) runner.flush();
      if (this.random() < 0.3) stop.abort();
      for (let turns = this.below(60); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      kill.abort();
    } else stop.abort();
    await running;
    await runner[Symbol.asyncDispose]();
    if (!killed) expect(runner.status()).toMatchObject({ state: "stopped", lag_records: 0, delivered_sequence: this.spool.nextSequence() - 1 });
  }

  #checkClaim(sequence: number): void {
    const arrived = new Set(this.far.all().map((record) => record["n"]));
    for (const record of this.expected.slice(0, sequence)) {
      if (record !== undefined && !arrived.has(record.n))
        this.broken ??= new Error(`claim ${sequence} passes record ${record.n}, which has not arrived`);
    }
  }

  /** Within lane and epoch numbers count on from 0; a retry has the name it had. */
  #checkNumbers(): void {
    const names = new Map<string, string[]>();
    for (const { lane, epoch, number, name } of this.far.puts) {
      const seen = names.get(`${lane} ${epoch}`) ?? [];
      expect(number).toBeLessThanOrEqual(seen.length);
      expect(name).toBe((seen[number] ??= name));
      names.set(`${lane} ${epoch}`, seen);
    }
  }

  check(): void {
    if (this.broken !== undefined) throw this.broken;
    const all = this.far.all().map((record) => record["n"] as number);
    expect(all.sort((a, b) => a - b)).toEqual(this.expected.flatMap((record) => (record === undefined ? [] : [record.n])));
    this.#checkNumbers();
    for (const object of this.far.objects.values()) {
      if (object.foreign) continue;
      const records = FarSide.records(object);
      expect(object.records).toBe(records.length);
      if (this.delivery.partition === undefined) continue;
      for (const record of records) {
        const hour = new Date(this.expected[record["n"] as number]?.timeMs ?? 0).toISOString().slice(11, 13);
        expect(object.lane).toBe(`source=${String(record["source"])}/hour=${hour}`);
      }
    }
  }
}

test(`${seeds} seeds from ${seedFirst}: cut anywhere, every record arrives exactly once`, async () => {
  for (let seed = seedFirst; seed < seedFirst + seeds; seed++) {
    const world = new World(seed);
    try {
      world.grow(5 + world.below(25));
      for (let life = world.below(6); life > 0; life--) {
        await world.live(true);
        if (world.random() < 0.7) world.disk.crash(world.random);
        if (world.random() < 0.7) world.spool.epoch = Buffer.from(world.doors.random.bytes(4)).toString("hex");
      }
      world.faulty = false;
      await world.live(false);
      world.check();
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
}, 60_000);
