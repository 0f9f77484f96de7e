/** One life of a simulated host: the real spool and delivery over simulated doors, and sources of numbered records. */
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Frames, Stream } from "../../src/core/contract.ts";
import type { Doors } from "../../src/core/doors.ts";
import { toError } from "../../src/core/fault.ts";
import { silent, type Log } from "../../src/core/log.ts";
import { createMeter } from "../../src/core/meter.ts";
import { keepClaim } from "../../src/sink/claim.ts";
import type { SinkRunner } from "../../src/sink/deliver.ts";
import { directory } from "../../src/sink/directory/sink.ts";
import { openSinkOrHold } from "../../src/sink/hold.ts";
import { http } from "../../src/sink/http/sink.ts";
import { spoolSchema } from "../../src/spool/config.ts";
import { openSpool, type Spool } from "../../src/spool/spool.ts";
import type { NetworkFaults, Store } from "./far.ts";
import { recordOf, streamOf, type Origin } from "./record.ts";
import type { Scenario, SinkPlan } from "./scenario.ts";
import type { Life } from "./world.ts";

export const spoolDir = "/var/lib/logferry";
export const lakeDir = "/lake";
const quarterMs = 15 * 60 * 1000;

export interface HostOptions {
  readonly life: Life;
  readonly doors: Doors;
  readonly store: Store;
  readonly faults: NetworkFaults;
  readonly machineId: string;
  readonly scenario: Scenario;
  readonly sources: readonly (Origin & { readonly total: number })[];
  /** Those configured in this life. */
  readonly sinks: readonly SinkPlan[];
}

/** How far a source is: the position found at the start, handed to the spool, and acknowledged. */
export interface Reading {
  readonly origin: Origin;
  started: number;
  emitted: number;
  acknowledged: number;
}

export class Host {
  readonly board: Board;
  spool: Spool | undefined;
  readonly readings: Reading[] = [];
  /** A fault that ended the start, or anything thrown that should not be. */
  broken: Error | undefined;
  ended = false;
  readonly #options: HostOptions;
  readonly #runners: SinkRunner[] = [];
  readonly #sourceStop = new AbortController();
  readonly #sinkStop = new AbortController();
  readonly #kill = new AbortController();

  constructor(options: HostOptions) {
    this.#options = options;
    this.board = createBoard(storyOf(options.life), () => options.life.clock.now());
  }

  /** Opens, runs until `stop`, drains. Never rejects: see `broken`. */
  async run(): Promise<void> {
    try {
      await this.#open();
      const delivering = this.#runners.map((runner) => runner.run({ stop: this.#sinkStop.signal, kill: this.#kill.signal }));
      for (const each of delivering) each.catch((cause: unknown) => (this.broken ??= toError(cause)));
      await Promise.all(this.readings.map((reading) => this.#read(reading)));
      await this.spool?.seal();
      this.#sinkStop.abort();
      await Promise.all(delivering);
      for (const runner of this.#runners) await runner[Symbol.asyncDispose]();
      await this.spool?.close();
      this.ended = true;
    } catch (cause) {
      this.broken ??= toError(cause);
    }
  }

  /** SIGTERM: sources return, the rest drains. */
  stop(): void {
    this.#options.life.world.note(`${this.#options.life.name} is told to stop`);
    this.#sourceStop.abort();
  }

  /** The second signal: everything is cut short. */
  kill(): void {
    this.#options.life.world.note(`${this.#options.life.name} is told to stop at once`);
    this.#sourceStop.abort();
    this.#kill.abort();
  }

  async #open(): Promise<void> {
    const { doors, machineId, scenario, sinks, sources } = this.#options;
    const meter = createMeter();
    const left = await this.#journalsLeft();
    const parsed = v.parse(spoolSchema, { dir: spoolDir, commit_interval: `${scenario.intervalMs}ms` });
    const spool = await openSpool({
      // Smaller than the schema allows: what a segment and a full spool are for must happen within a thousand records.
      config: {
        ...parsed,
        max_bytes: scenario.maxBytes,
        segment_bytes: scenario.segmentBytes,
        min_free_bytes: scenario.minFreeBytes,
        when_full: scenario.policy === "drop" ? "drop_oldest" : "block",
      },
      doors,
      board: this.board,
      log: silent,
      meter,
      writer: "0.0.0-sim",
      machineId,
      sinks: [...sinks.map(({ name }) => name), ...left],
      holds: new Map([...scenario.holds].filter(([name]) => sinks.some((sink) => sink.name === name))),
      // Half an hour of tries is most of a million steps.
      bounds: { endurance: { triesMin: 10, afterMs: 2000 }, tableSegmentsMin: scenario.tableSegmentsMin },
      kill: this.#kill.signal,
      takeLock: () => ({ [Symbol.dispose]: () => {} }),
    });
    for (const origin of sources) {
      const started = Number(spool.positions(origin.source).get("n") ?? 0);
      this.readings.push({ origin, started, emitted: started, acknowledged: 0 });
    }
    this.spool = spool;
    await spool.noteSinks(spool.sinksKnown.filter((name) => sinks.some((sink) => sink.name === name) || left.includes(name)));
    for (const name of left) await keepClaim(name, `${spool.layout.sinks}/${name}.journal`, spool.reader, doors).catch(() => {});
    for (const plan of sinks) await this.#openSink(plan, spool, meter);
  }

  /** As the agent does it: a sink taken out of the configuration keeps its claim. */
  async #journalsLeft(): Promise<string[]> {
    const { doors, sinks } = this.#options;
    const folder = `${spoolDir}/sinks`;
    if ((await doors.disk.stat(folder)) === undefined) return [];
    const names = (await doors.disk.list(folder)).filter((name) => name.endsWith(".journal")).map((name) => name.slice(0, -".journal".length));
    return names.filter((name) => !sinks.some((sink) => sink.name === name));
  }

  async #openSink(plan: SinkPlan, spool: Spool, meter: ReturnType<typeof createMeter>): Promise<void> {
    const { doors, store, life, faults, scenario } = this.#options;
    const { name, codec, concurrency, partition } = plan;
    const common = {
      codec,
      concurrency,
      batch: { bytes_max: `${scenario.batchBytes / 1024}KiB`, age_max: "500ms" },
      retry: { min: "20ms", max: "200ms" },
      ...(plan.from === undefined ? {} : { from: [...plan.from] }),
    };
    const folder = v.parse(directory.schema, { type: "directory", dir: lakeDir, partition, ...common });
    const made = {
      folder: () => ({ kind: directory, config: folder }),
      ingest: () => ({ kind: http, config: v.parse(http.schema, { type: "http", url: "http://ingest/v1/records", ...common }) }),
      store: () => ({ kind: store.kind(life, faults), config: folder }),
    }[name]();
    const context = { name, host: "h", spoolId: spool.reader.id, doors, board: this.board, log: silent };
    const journalPath = `${spool.layout.sinks}/${name}.journal`;
    const expected = spool.sinksKnown.includes(name);
    const noted = (): Promise<void> => spool.noteSinks([...spool.sinksKnown, name]);
    const shared = { name, reader: spool.reader, journalPath, context, meter, expected, made: noted };
    this.#runners.push(await openSinkOrHold({ ...shared, kind: made.kind as never, config: made.config as never }));
  }

  /** Reads on from the committed position, a few chunks at once, as sources do. */
  async #read(reading: Reading): Promise<void> {
    const { life, sources } = this.#options;
    const { random } = life.world;
    const total = sources.find(({ source }) => source === reading.origin.source)?.total ?? 0;
    const quiet = sources.findIndex(({ source }) => source === reading.origin.source);
    const flying = new Set<Promise<void>>();
    for (let n = reading.started; n < total && !this.#sourceStop.signal.aborted;) {
      const first = n;
      n = Math.min(total, n + 1 + random.below(40));
      const emitted = this.#emit(reading, first, n).finally(() => flying.delete(emitted));
      flying.add(emitted);
      while (flying.size >= 3) await Promise.race(flying);
      // The later ones are the quieter ones: not every group has a position of each.
      if (random.chance(0.3)) await life.clock.sleep(random.below(120) * (1 + 3 * quiet), this.#sourceStop.signal);
    }
    await Promise.all(flying);
  }

  async #emit(reading: Reading, first: number, end: number): Promise<void> {
    const { life, scenario } = this.#options;
    const { origin } = reading;
    const write = (frames: Frames): void => {
      for (let n = first; n < end; n++) {
        const bytes = Buffer.from(`${recordOf(origin, n)}\n`);
        const timeMs = life.clock.now() + (n % 200 === 0 ? 4 * quarterMs : 0);
        const stream = streamFor(scenario, origin, n);
        const frame = frames(JSON.stringify(stream), stream, timeMs, bytes.byteLength);
        frame.bytes.set(bytes, frame.length);
        frame.length += bytes.byteLength;
        frame.records++;
        frame.minMs = Math.min(frame.minMs, timeMs);
        frame.maxMs = Math.max(frame.maxMs, timeMs);
      }
    };
    reading.emitted = Math.max(reading.emitted, end);
    try {
      await this.spool?.append(write, origin.source, { n: end });
    } catch (cause) {
      // Cut by the second signal: it was told, and reads again at the next start.
      if (this.#kill.signal.aborted) return;
      throw cause;
    }
    reading.acknowledged = Math.max(reading.acknowledged, end);
  }
}

/** What goes to the log as a warning or worse is a turn of the story. */
function storyOf(life: Life): Log {
  const note = (message: string): void => life.world.note(`${life.name} says: ${message}`);
  return { ...silent, warn: note, error: note };
}

function streamFor(scenario: Scenario, origin: Origin, n: number): Stream {
  const { host, source } = origin;
  if (scenario.detail === "none") return {};
  return scenario.detail === "from" ? { from: source } : { from: source, source, host, labels: { s: streamOf(origin, n) } };
}
