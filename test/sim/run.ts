/**
 * One seeded run: a host reads numbered records, is killed or loses power at random moments, starts again, and is checked
 * against a model that is a few plain numbers. In the end the faults stop, everything drains, and the far sides are counted.
 *
 * Model: the position found after a start is never below what was acknowledged; the spool holds exactly the records below it,
 * the n-th record under sequence n; no far side ever has a record twice, and in the end each has all.
 */
import type { Doors } from "../../src/core/doors.ts";
import { Host, lakeDir, recordOf } from "./host.ts";
import { Ingest, linesOf, simNetwork, Store, type NetworkFaults } from "./far.ts";
import { SimDisk } from "./disk.ts";
import { World } from "./world.ts";

/** Steps after which a run that has not ended hangs. */
const stepsMax = 400_000;

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  readonly crashes: number;
  /** What went wrong, with the last events; undefined when all is well. */
  readonly failure: string | undefined;
}

class Run {
  readonly world: World;
  readonly disk: SimDisk;
  readonly ingest = new Ingest();
  readonly store = new Store();
  readonly faults: NetworkFaults = { cut: 0, answerLost: 0, repeated: 0, down: false };
  readonly doors: Doors;
  readonly total: number;
  acknowledged = 0;
  steps = 0;
  crashes = 0;

  constructor(seed: number) {
    this.world = new World(seed);
    this.disk = new SimDisk(this.world);
    const { world } = this;
    this.total = 200 + world.random.below(1200);
    this.doors = {
      disk: this.disk,
      clock: world.clock,
      random: world.random,
      network: simNetwork(world, this.ingest, this.faults),
      compress: {
        zstd: (bytes, level) => world.later("compress", () => Bun.zstdCompressSync(bytes, { level })),
        unzstd: (bytes) => world.later("decompress", () => Bun.zstdDecompressSync(bytes)),
        gzip: (bytes) => world.later("gzip", () => Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>)),
        gunzip: (bytes) => world.later("gunzip", () => Bun.gunzipSync(bytes as Uint8Array<ArrayBuffer>)),
      },
    };
  }

  host(): Host {
    const { world, disk, doors, store, faults, total } = this;
    return new Host({ world, disk, doors, store, faults, machineId: "m", total });
  }

  /** Draws new odds for the next life. */
  weather(): void {
    const { random } = this.world;
    const sometimes = (odds: number): number => (random.chance(0.5) ? random.next() * odds : 0);
    this.faults.cut = sometimes(0.3);
    this.faults.answerLost = sometimes(0.3);
    this.faults.repeated = sometimes(0.2);
    this.faults.down = random.chance(0.15);
    this.disk.faults.syncFails = sometimes(0.05);
    this.disk.faults.shortReads = sometimes(0.3);
    this.disk.faults.capacity = random.chance(0.2) ? this.disk.usedBytes() + random.below(300_000) : Infinity;
  }

  calm(): void {
    Object.assign(this.faults, { cut: 0, answerLost: 0, repeated: 0, down: false });
    Object.assign(this.disk.faults, { syncFails: 0, shortReads: 0, capacity: Infinity });
  }

  async run(): Promise<void> {
    const { random } = this.world;
    const lives = 1 + random.below(6);
    for (let life = 0; life < lives; life++) {
      this.weather();
      await this.life(20 + random.below(1500));
    }
    this.calm();
    const last = this.host();
    const running = last.run();
    while (!last.ended && last.broken === undefined) await this.step();
    await running;
    this.checkStart(last);
    if (last.broken !== undefined) throw last.broken;
    this.checkFarSides();
    this.checkComplete();
  }

  /** One life: so many steps, then the end of the process or of the power. */
  async life(steps: number): Promise<void> {
    const { world } = this;
    const host = this.host();
    const running = host.run();
    for (let i = 0; i < steps && !host.ended && host.broken === undefined; i++) {
      await this.step();
      if (i > 300 && this.disk.faults.capacity !== Infinity && world.random.chance(0.01)) this.disk.faults.capacity = Infinity;
      if (this.faults.down && world.random.chance(0.01)) this.faults.down = false;
    }
    this.acknowledged = Math.max(this.acknowledged, host.acknowledged);
    if (host.broken !== undefined && !isFault(host.broken)) throw host.broken;
    this.crashes++;
    world.die();
    if (world.random.chance(0.5)) {
      world.note("power loss");
      this.disk.powerLoss();
    } else world.note("kill");
    this.checkStart(host);
    this.checkFarSides();
    void running;
  }

  async step(): Promise<void> {
    this.steps++;
    if (this.steps > stepsMax) throw new Error("hangs: too many steps");
    if (!(await this.world.step())) throw new Error("hangs: nothing is on its way");
  }

  /** The position of a start covers all that was acknowledged before it. */
  checkStart(host: Host): void {
    if (host.spool === undefined) return;
    if (host.started < this.before) throw new Error(`lost: ${this.before} were acknowledged, the start found ${host.started}`);
    this.before = Math.max(this.before, host.acknowledged);
  }
  before = 0;

  checkFarSides(): void {
    this.once("ingest", this.ingest.records);
    this.once(
      "store",
      [...this.store.objects.values()].flatMap(({ records }) => records),
    );
    this.once("folder", this.folder());
  }

  folder(): string[] {
    const paths = this.disk.paths().filter((path) => path.startsWith(lakeDir) && path.endsWith(".ndjson.zst") && !path.includes("/."));
    return paths.flatMap((path) => linesOf(this.disk.contentOf(path) ?? new Uint8Array()));
  }

  once(place: string, records: readonly string[]): void {
    const seen = new Set<string>();
    for (const record of records) {
      if (seen.has(record)) throw new Error(`${place}: twice: ${record.slice(0, 120)}`);
      seen.add(record);
      const { n } = JSON.parse(record) as { n: number };
      if (record !== recordOf(n)) throw new Error(`${place}: foreign: ${record.slice(0, 120)}`);
    }
  }

  checkComplete(): void {
    for (const [place, count] of Object.entries({
      ingest: this.ingest.records.length,
      store: [...this.store.objects.values()].reduce((sum, { records }) => sum + records.length, 0),
      folder: this.folder().length,
    })) {
      if (count !== this.total) throw new Error(`${place}: ${count} of ${this.total} records`);
    }
  }
}

function isFault(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "Fault";
}

/** Runs one seed to its end. */
export async function simulate(seed: number): Promise<Outcome> {
  const run = new Run(seed);
  try {
    await run.run();
    return { seed, steps: run.steps, crashes: run.crashes, failure: undefined };
  } catch (cause) {
    const stack = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
    return { seed, steps: run.steps, crashes: run.crashes, failure: `${stack}\n  ${run.world.trace.slice(-25).join("\n  ")}` };
  }
}
