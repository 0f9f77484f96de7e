/**
 * One seeded run: a host reads numbered records, is killed or loses power at random moments, starts again, and is checked
 * against a model that is a few plain maps. In the end the faults stop, everything drains, and the far sides are counted.
 *
 * Checked: the position found after a start is never below what was acknowledged nor above what was handed over; no far side
 * ever has a record more often than it may, and in the end each has all; a start fails for nothing but a disk that fails now.
 */
import { Ingest, Store } from "./far.ts";
import { spoolDir } from "./host.ts";
import { Machine } from "./machine.ts";
import { Model } from "./model.ts";
import { rot } from "./rot.ts";
import { draw, type Scenario, type SinkPlan } from "./scenario.ts";
import { Seeded, World } from "./world.ts";

/** Steps after which a run that has not ended hangs. */
const stepsMax = 150_000;
/** Records the copy of a host writes beyond those of the original. */
const forkTotal = 150;

export interface Outcome {
  readonly seed: number;
  readonly steps: number;
  readonly crashes: number;
  /** Faults that were met, by code. */
  readonly counts: Readonly<Record<string, number>>;
  /** What went wrong, with the last events; undefined when all is well. */
  readonly failure: string | undefined;
}

class Run {
  readonly world: World;
  readonly scenario: Scenario;
  readonly model = new Model();
  crashes = 0;
  readonly #ingest: Ingest;
  readonly #store: Store;
  readonly #machines: Machine[];
  #lifeNumber = 0;
  /** A sink that is taken out of the next life. */
  #out: string | undefined;
  /** Draws what came later than the rest; see scenario.ts. */
  readonly #more: Seeded;
  /** Files that rotted. */
  readonly #hit = new Set<string>();
  /** Puts back the journal that was lost. */
  #restore: () => void = () => {};

  constructor(seed: number) {
    this.world = new World(seed);
    this.#more = new Seeded(seed ^ 0x707);
    this.scenario = draw(this.world.random, new Seeded(seed ^ 0x5eed));
    const { policy, sinks, holds } = this.scenario;
    for (const { name } of sinks) if (policy === "drop" || holds.has(name)) this.model.mayDrop.add(name === "folder" ? "folder of h" : name);
    const arrived = (place: string, lines: readonly string[]): void => this.model.arrived(place, lines);
    this.#ingest = new Ingest(arrived);
    this.#store = new Store(arrived);
    this.#machines = [this.#machine("h", "m1", this.scenario.sources)];
  }

  #machine(name: string, machineId: string, sources: Scenario["sources"]): Machine {
    const { world, scenario, model } = this;
    return new Machine({ name, machineId, world, scenario, model, ingest: this.#ingest, store: this.#store, sources });
  }

  run(): void {
    const { random } = this.world;
    const { lives, trouble } = this.scenario;
    const troubleLife = random.below(lives);
    for (let life = 0; life < lives; life++) {
      for (const machine of this.#machines) machine.weather();
      this.#boot(life);
      const pretending = this.#life(
        20 + random.below(random.chance(0.3) ? 200 : 2500),
        trouble === "fork" && life === troubleLife && this.#machines.length === 1,
      );
      // Then a kill: the next start sees it, and must not build on it.
      const power = !pretending && random.chance(0.5);
      for (const machine of this.#machines) machine.crash(power);
      this.crashes += this.#machines.length;
      this.#verdict();
      if (trouble === "rot" && random.chance(0.8)) this.#rot(power);
      if (trouble === "journal" && life === troubleLife) this.#loseJournal();
    }
    for (const machine of this.#machines) machine.calm();
    if (trouble === "journal" && random.chance(0.5)) this.#toTheEnd(lives);
    this.#restore();
    this.#toTheEnd(lives);
    this.#checkEnd();
  }

  /** A life without faults, until everything that was read is delivered. What is put back in it is found at the latest by the next. */
  #toTheEnd(life: number): void {
    const { random } = this.world;
    const late = new Set<string>();
    const restoreAt = random.below(600);
    this.#out = undefined;
    this.#boot(life);
    for (let i = 0; this.#running(); i++) {
      if (i === restoreAt) this.#restore();
      this.#step();
      this.#noteLate(late);
    }
    for (const machine of this.#machines) machine.end();
    this.#verdict();
  }

  #boot(life: number): void {
    this.#lifeNumber = life;
    for (const machine of this.#machines) {
      machine.boot(this.scenario.sinks.filter((sink) => this.#configured(machine, sink, life)));
    }
  }

  /** A sink that was taken out must have a journal: without one it never was there. */
  #configured(machine: Machine, sink: SinkPlan, life: number): boolean {
    if (life < sink.sinceLife) return false;
    if (!sink.pausedLives.has(life) && sink.name !== this.#out) return true;
    return !machine.disk.paths().includes(`${spoolDir}/sinks/${sink.name}.journal`);
  }

  /**
   * So many steps, or until the source has nothing more and all is delivered. Somewhere in it a copy may be taken. True when it
   * was cut short in a moment when the page cache shows what the disk does not have.
   */
  #life(steps: number, fork: boolean): boolean {
    const { random } = this.world;
    const forkAt = fork ? random.below(steps) : -1;
    const restAt = forkAt + (random.chance(0.5) ? 0 : random.below(60));
    const stopAt = random.chance(0.3) ? random.below(steps) : -1;
    const killAt = stopAt >= 0 && random.chance(0.4) ? stopAt + random.below(100) : -1;
    const late = new Set<string>();
    let copy: { machine: Machine; rest: (path: string) => boolean } | undefined;
    let before = this.#syncsFailed();
    const { trouble } = this.scenario;
    let cut = false;
    for (let i = 0; i < steps && this.#running() && !cut; i++) {
      if (i === forkAt) copy = this.#copy();
      if (i === restAt) copy = this.#finishCopy(copy);
      if (i === stopAt) for (const { host } of this.#machines) host?.stop();
      if (i === killAt) for (const { host } of this.#machines) host?.kill();
      this.#step();
      this.#noteLate(late);
      // In the very moment: a little later the writer has cleared away what the disk did not take.
      cut = this.#syncsFailed() > before && random.chance(0.1);
      before = this.#syncsFailed();
      this.#out = trouble === "none" && random.chance(0.004) ? this.#journalWritten() : undefined;
      cut ||= this.#out !== undefined;
      if (i > 200) for (const machine of this.#machines) machine.relief();
    }
    this.#finishCopy(copy);
    return cut;
  }

  /** The sink whose journal has been written and not synced: a kill now, and the page cache shows what a power loss takes. */
  #journalWritten(): string | undefined {
    for (const path of this.#machines[0]?.disk.unsynced ?? []) {
      const [, name] = /\/sinks\/(\w+)\.journal/.exec(path) ?? [];
      if (name !== undefined) return name;
    }
    return undefined;
  }

  #syncsFailed(): number {
    return this.#machines.reduce((sum, { disk }) => sum + disk.syncsFailed, 0);
  }

  #running(): boolean {
    return this.#machines.some(({ host }) => host?.ended === false && host.broken === undefined);
  }

  /** A sink that came late is owed what is not acknowledged yet when it comes. */
  #noteLate(late: Set<string>): void {
    for (const machine of this.#machines) {
      const { host } = machine;
      if (host?.spool === undefined || late.has(machine.name)) continue;
      late.add(machine.name);
      for (const sink of this.scenario.sinks) {
        if (sink.sinceLife === 0 || sink.sinceLife > this.#lifeNumber || machine.since.has(sink.name)) continue;
        machine.since.set(sink.name, new Map(host.readings.map(({ origin, started }) => [origin.source, started])));
      }
    }
  }

  #step(): void {
    if (this.world.steps > stepsMax) throw new Error("hangs: too many steps");
    if (!this.world.step() && this.#running()) throw new Error("hangs: nothing is on its way");
    for (const machine of this.#machines) machine.checkStart();
    this.#verdict();
  }

  #verdict(): void {
    if (this.model.violation !== undefined) throw new Error(this.model.violation);
  }

  /** A second machine with a copy of the spool: half of its files now, the others a little later. */
  #copy(): { machine: Machine; rest: (path: string) => boolean } {
    const { random } = this.world;
    const [original] = this.#machines;
    if (original === undefined) throw new Error("no machine");
    const sameId = random.chance(0.5);
    this.world.note(`the spool is copied, to ${sameId ? "a clone with the same machine id" : "another machine"}`);
    const sources = this.scenario.sources.map((source) => ({ ...source, host: "h2", total: source.total + forkTotal }));
    const machine = this.#machine("h2", sameId ? "m1" : "m2", sources);
    const now = new Set(original.disk.paths().filter(() => random.chance(0.5)));
    machine.copyFrom(original, (path) => now.has(path) || !path.includes("."));
    if (sameId) this.model.mayRepeat.add("ingest");
    return { machine, rest: (path) => !now.has(path) };
  }

  #finishCopy(copy: { machine: Machine; rest: (path: string) => boolean } | undefined): undefined {
    const [original] = this.#machines;
    if (copy === undefined || original === undefined) return;
    copy.machine.copyFrom(original, copy.rest);
    for (const key of original.emittedKeys()) this.model.shared.add(key);
    this.#machines.push(copy.machine);
  }

  #rot(power: boolean): void {
    const { random } = this.world;
    for (const machine of this.#machines) {
      const where = rot(machine.disk, random, this.model, this.#hit, power, this.#more, this.scenario.sectors);
      if (where !== undefined) this.world.note(`rot: ${where}`);
      // The far side is asked what it has before what is left of a batch is sent; of what is still on its way then it cannot know.
      if (where?.includes(".journal") === true) this.model.mayRepeat.add("ingest");
      if (this.model.mayMiss.size > 0 && this.world.flying() > 0) for (const place of ["ingest", "store"]) this.model.mayRepeat.add(place);
    }
  }

  #loseJournal(): void {
    const { sinks } = this.scenario;
    const sink = this.world.random.pick(sinks);
    const path = `${spoolDir}/sinks/${sink.name}.journal`;
    const disk = this.#machines[0]?.disk;
    const content = disk?.contentOf(path)?.slice();
    if (disk === undefined || content === undefined) return;
    this.world.note(`the journal of ${sink.name} is lost`);
    disk.destroy(path);
    // A store and a folder are looked through for what they have; an ingest that cannot tell gets it again, and it is counted.
    if (sink.name === "ingest") this.model.mayRepeat.add("ingest");
    this.#restore = () => {
      this.#restore = () => {};
      if (disk.paths().includes(path)) return; // made anew in the meantime
      this.world.note(`the journal of ${sink.name} is put back`);
      disk.restore(path, content);
    };
  }

  counts(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const { counts } of this.#machines) for (const [code, count] of Object.entries(counts)) all[code] = (all[code] ?? 0) + count;
    return all;
  }

  #checkEnd(): void {
    const { trouble } = this.scenario;
    for (const machine of this.#machines) {
      const { lost, dropped } = machine.checkComplete();
      const counted = machine.counts["spool_records_lost"] ?? 0;
      const given = machine.counts["spool_records_dropped"] ?? 0;
      if (lost > counted) this.model.violate(`${lost} records are missing, ${counted} were counted as lost`);
      if (dropped > given) this.model.violate(`${dropped} records are missing, ${given} were counted as given up`);
      if (this.scenario.policy === "block" && given > 0) this.model.violate(`${given} records were given up, and nobody asked for that`);
      if (trouble === "none" && counted > 0) this.model.violate(`${counted} records were counted as lost, and none is`);
    }
    this.#verdict();
  }
}

/** Runs one seed to its end. */
export function simulate(seed: number): Outcome {
  const run = new Run(seed);
  let failure: string | undefined;
  try {
    run.run();
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    const { trouble, lives, maxBytes, segmentBytes, sinks, detail, policy, tableSegmentsMin, sectors } = run.scenario;
    const drawn = JSON.stringify({
      trouble,
      lives,
      maxBytes,
      segmentBytes,
      detail,
      policy,
      tableSegmentsMin,
      sectors,
      sinks: sinks.map((sink) => `${sink.name} ${sink.codec} ${sink.partition}`),
    });
    failure = `${words}\n  ${drawn}\n${run.world.trace()}`;
  }
  return { seed, steps: run.world.steps, crashes: run.crashes, counts: run.counts(), failure };
}
