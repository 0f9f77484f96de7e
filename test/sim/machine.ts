/** A simulated machine: its disk, the lives of its logferry one after the other, and what it must remember from one to the next. */
import type { Doors } from "../../src/core/doors.ts";
import { gzipSync, gunzipSync } from "node:zlib";
import { SimDisk } from "./disk.ts";
import { linesOf, noNetworkFaults, simNetwork, type Ingest, type NetworkFaults, type Store } from "./far.ts";
import { Host, lakeDir, spoolDir } from "./host.ts";
import type { Model } from "./model.ts";
import { noDiskFaults } from "./node.ts";
import { keyOf, type Origin } from "./record.ts";
import type { Scenario, SinkPlan } from "./scenario.ts";
import { Life, type World } from "./world.ts";

export interface MachineOptions {
  readonly name: string;
  readonly machineId: string;
  readonly world: World;
  readonly scenario: Scenario;
  readonly model: Model;
  readonly ingest: Ingest;
  readonly store: Store;
  readonly sources: readonly (Origin & { readonly total: number })[];
}

/** What the next start must find of a source. */
interface Reached {
  /** The position its first start found. */
  first: number;
  acknowledged: number;
  emitted: number;
}

export class Machine {
  readonly disk: SimDisk;
  readonly faults: NetworkFaults = { ...noNetworkFaults };
  readonly reached = new Map<string, Reached>();
  /** Where a sink that came late began, by source. */
  readonly since = new Map<string, Map<string, number>>();
  host: Host | undefined;
  /** Faults counted in all lives, by code. */
  readonly counts: Record<string, number> = {};
  readonly #options: MachineOptions;
  #life: Life;
  /** Files of the folder sink, with what they hold. */
  readonly #seen = new Map<string, string[]>();
  #checked: Host | undefined;
  /** The disk was in good health when this life began. */
  #began = true;

  constructor(options: MachineOptions) {
    this.#options = options;
    const { world, name } = options;
    this.#life = new Life(world, name);
    this.disk = new SimDisk(world.random, this.#life, ["/", "/var", "/var/lib"]);
    for (const origin of options.sources) options.model.addOrigin(origin);
  }

  get name(): string {
    return this.#options.name;
  }

  /** Draws the odds for the next life. */
  weather(): void {
    const { world, scenario } = this.#options;
    const { random } = world;
    const sometimes = (share: number, odds: number): number => (random.chance(share) ? random.next() * odds : 0);
    Object.assign(this.faults, {
      cut: sometimes(0.4, 0.3),
      answerLost: sometimes(0.5, 0.3),
      repeated: sometimes(0.4, 0.2),
      down: random.chance(0.15),
    });
    Object.assign(this.disk.faults, {
      syncFails: random.chance(0.05) ? 1 : sometimes(0.4, 0.1),
      writeFails: sometimes(0.15, 0.05),
      readFails: sometimes(0.15, 0.05),
      shortReads: sometimes(0.5, 0.3),
      capacity: random.chance(0.2) ? this.disk.usedBytes() + random.below(100_000) : scenario.diskBytes,
    });
  }

  calm(): void {
    Object.assign(this.faults, noNetworkFaults);
    Object.assign(this.disk.faults, noDiskFaults, { capacity: Math.max(this.#options.scenario.diskBytes, this.disk.usedBytes() * 2) });
  }

  /** Now and then, what was wrong is mended while it runs. */
  relief(): void {
    const { random } = this.#options.world;
    if (random.chance(0.004)) this.disk.faults.capacity = this.#options.scenario.diskBytes;
    if (random.chance(0.01)) this.faults.down = false;
    if (random.chance(0.004)) Object.assign(this.disk.faults, { syncFails: 0, writeFails: 0, readFails: 0 });
  }

  /** A full disk is no reason not to start, unless the spool is new. */
  #healthy(): boolean {
    const { syncFails, writeFails, readFails, capacity } = this.disk.faults;
    const full = capacity < this.#options.scenario.diskBytes;
    return syncFails + writeFails + readFails === 0 && (!full || this.disk.paths().includes(`${spoolDir}/spool.json`));
  }

  boot(sinks: readonly SinkPlan[]): void {
    const { world, name, scenario, store, ingest, machineId, sources } = this.#options;
    const life = new Life(world, name);
    this.#began = this.#healthy();
    this.#life = life;
    this.disk.life = life;
    const doors: Doors = {
      disk: this.disk,
      clock: life.clock,
      random: world.random,
      network: simNetwork(life, ingest, this.faults),
      compress: {
        zstd: (bytes, level) => life.later("compress", () => Bun.zstdCompressSync(bytes, { level })),
        unzstd: (bytes) => life.later("decompress", () => Bun.zstdDecompressSync(bytes)),
        gzip: (bytes, level) => life.later("gzip", () => gzipSync(bytes, { level })),
        gunzip: (bytes) => life.later("gunzip", () => gunzipSync(bytes)),
      },
    };
    world.note(`${name} starts with ${sinks.map((sink) => sink.name).join(" ")}${weatherOf(this.disk.faults, this.faults)}`);
    this.host = new Host({ life, doors, store, faults: this.faults, machineId, scenario, sources, sinks });
    void this.host.run();
  }

  /** The end of a life: of the process, or of the power. */
  crash(power: boolean): void {
    const { world, name } = this.#options;
    const reached = (this.host?.readings ?? []).map(({ origin, started, acknowledged }) => `${origin.source} ${started} to ${acknowledged}`);
    world.note(
      `${name} ${power ? "loses power" : "is killed"}${reached.length === 0 ? " before it was open" : `, acknowledged: ${reached.join(", ")}`}`,
    );
    this.look();
    this.#life.die();
    if (power) this.disk.powerLoss();
    this.lookAtFolder();
  }

  /** The end of a life that came to its end by itself. */
  end(): void {
    this.look();
    this.#life.die();
    this.lookAtFolder();
  }

  /** Compares what a start found with what had been promised before. */
  checkStart(): void {
    const { host } = this;
    if (host?.spool !== undefined && this.#options.world.steps % 32 === 0 && host.spool.status().bytes > this.#options.scenario.maxBytes)
      this.#options.model.violate(`the spool takes ${host.spool.status().bytes} of ${this.#options.scenario.maxBytes} bytes`);
    if (host?.spool === undefined || this.#checked === host) return;
    this.#checked = host;
    const { model } = this.#options;
    for (const { origin, started } of host.readings) {
      const before = this.reached.get(origin.source);
      if (before === undefined) continue;
      if (started < before.acknowledged)
        model.violate(`lost: ${before.acknowledged} of ${origin.source} were acknowledged, the start found position ${started}`);
      if (started > before.emitted) model.violate(`position ${started} of ${origin.source} was found, ${before.emitted} were emitted`);
    }
  }

  /** Takes down what was promised in this life. */
  look(): void {
    const { model } = this.#options;
    const { host } = this;
    if (host === undefined) return;
    if (host.broken !== undefined && host.broken.name !== "Fault") model.violate(`broken: ${host.broken.stack}`);
    else if (host.broken !== undefined && this.#began) model.violate(`no disk fault, and yet: ${host.broken.message}`);
    for (const [code, count] of Object.entries(host.board.counts())) this.counts[code] = (this.counts[code] ?? 0) + count;
    for (const { origin, started, emitted, acknowledged } of host.spool === undefined ? [] : host.readings) {
      const before = this.reached.get(origin.source) ?? { first: started, acknowledged: started, emitted: started };
      this.reached.set(origin.source, {
        first: before.first,
        acknowledged: Math.max(before.acknowledged, acknowledged, started),
        emitted: Math.max(before.emitted, emitted),
      });
    }
    this.host = undefined;
  }

  /** Tells the model of files that came since, and of those that a power loss took: these were not synced, and come again. */
  lookAtFolder(): void {
    const { model, name, scenario } = this.#options;
    const codec = scenario.sinks.find((sink) => sink.name === "folder")?.codec ?? "zstd";
    const place = `folder of ${name}`;
    const there = new Set(this.disk.paths().filter((path) => path.startsWith(`${lakeDir}/`) && !path.includes("/.")));
    for (const [path, lines] of this.#seen) {
      if (there.has(path)) continue;
      this.#seen.delete(path);
      model.withdrawn(place, lines);
    }
    for (const path of there) {
      if (this.#seen.has(path)) continue;
      const lines = linesOf(this.disk.contentOf(path) ?? new Uint8Array(), codec);
      this.#seen.set(path, lines);
      model.arrived(place, lines);
    }
  }

  /** Goes on from a copy of `other`'s disk, but for what the far side of `other`'s folder has. */
  copyFrom(other: Machine, wanted: (path: string) => boolean): void {
    this.disk.copyFrom(other.disk, (path) => path.startsWith(spoolDir) && wanted(path));
  }

  /** All that was handed to the spool so far. */
  emittedKeys(): string[] {
    const readings = [...(this.host?.readings ?? [])].map(({ origin, emitted }) => ({ origin, end: emitted }));
    const before = this.#options.sources.map((origin) => ({ origin, end: this.reached.get(origin.source)?.emitted ?? 0 }));
    return [...readings, ...before].flatMap(({ origin, end }) => Array.from({ length: end }, (_, n) => keyOf(origin, n)));
  }

  /** In the end everything is everywhere. Gives how many records are missing by rot, and how many were given up for room. */
  checkComplete(): { lost: number; dropped: number } {
    const { model, scenario, sources, name } = this.#options;
    const missing = { lost: 0, dropped: 0 };
    for (const sink of scenario.sinks) {
      const place = sink.name === "folder" ? `folder of ${name}` : sink.name;
      for (const origin of sources) {
        if (sink.from !== undefined && !sink.from.includes(origin.source)) continue;
        const first = this.since.get(sink.name)?.get(origin.source) ?? this.reached.get(origin.source)?.first ?? 0;
        const { lost, dropped } = model.complete(place, origin, first, origin.total);
        missing.lost += lost;
        missing.dropped += dropped;
      }
    }
    return missing;
  }
}

function weatherOf(disk: SimDisk["faults"], network: NetworkFaults): string {
  const odds = { ...disk, ...network, capacity: 0 };
  const bad = Object.entries(odds).filter(([, value]) => value !== 0 && value !== false);
  return bad.map(([fault, value]) => `, ${fault}${typeof value === "number" ? ` ${value.toFixed(2)}` : ""}`).join("");
}
