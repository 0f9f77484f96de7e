/** One life of a simulated host: the real spool and delivery over simulated doors, and a source of numbered records. */
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Frames } from "../../src/core/contract.ts";
import type { Doors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { createMeter } from "../../src/core/meter.ts";
import { openSink, type SinkRunner } from "../../src/sink/deliver.ts";
import { directory } from "../../src/sink/directory/sink.ts";
import { http } from "../../src/sink/http/sink.ts";
import { spoolSchema } from "../../src/spool/config.ts";
import { openSpool, type Spool } from "../../src/spool/spool.ts";
import type { SimDisk } from "./disk.ts";
import type { NetworkFaults, Store } from "./far.ts";
import type { World } from "./world.ts";

const dir = "/var/lib/logferry";
export const lakeDir = "/lake";
const quarterMs = 15 * 60 * 1000;

export interface HostOptions {
  readonly world: World;
  readonly disk: SimDisk;
  readonly doors: Doors;
  readonly store: Store;
  readonly faults: NetworkFaults;
  readonly machineId: string;
  /** Records there are to read. */
  readonly total: number;
}

/** Record `n`, of a length that follows from it. */
export function recordOf(n: number): string {
  return JSON.stringify({ timestamp: "2023-11-14T22:13:20.000000Z", host: "h", source: "app", n, message: "x".repeat((n * 37) % 400) });
}

export class Host {
  readonly board: Board;
  spool: Spool | undefined;
  readonly runners: SinkRunner[] = [];
  /** The position found at the start, and one past the newest record that was acknowledged. */
  started = 0;
  acknowledged = 0;
  /** A fault that ended the start, or anything thrown that should not be. */
  broken: Error | undefined;
  ended = false;
  readonly #options: HostOptions;
  readonly #sourceStop = new AbortController();
  readonly #sinkStop = new AbortController();
  readonly #kill = new AbortController();

  constructor(options: HostOptions) {
    this.#options = options;
    this.board = createBoard(silent, () => options.world.clock.now());
  }

  /** Opens, runs until `stop`, drains. Never rejects: see `broken`. */
  async run(): Promise<void> {
    try {
      await this.#open();
      const delivering = this.runners.map((runner) => runner.run({ stop: this.#sinkStop.signal, kill: this.#kill.signal }));
      for (const each of delivering) each.catch((cause: unknown) => (this.broken ??= toError(cause)));
      await this.#read();
      await this.spool?.seal();
      this.#sinkStop.abort();
      await Promise.all(delivering);
      for (const runner of this.runners) await runner[Symbol.asyncDispose]();
      await this.spool?.close();
      this.ended = true;
    } catch (cause) {
      this.broken ??= toError(cause);
    }
  }

  stop(): void {
    this.#sourceStop.abort();
  }

  async #open(): Promise<void> {
    const { doors, machineId, store, world, faults } = this.#options;
    const meter = createMeter();
    const spool = await openSpool({
      config: v.parse(spoolSchema, { dir, commit_interval: "50ms", min_free_bytes: 0, max_bytes: "8MiB", segment_bytes: "1MiB" }),
      doors,
      board: this.board,
      log: silent,
      meter,
      writer: "0.0.0-sim",
      machineId,
      sinks: ["folder", "ingest", "store"],
      kill: this.#kill.signal,
      takeLock: () => ({ [Symbol.dispose]: () => {} }),
    });
    this.spool = spool;
    this.started = Number(spool.positions("app").get("n") ?? 0);
    const common = { batch: { bytes_max: "20KiB", age_max: "500ms" }, retry: { min: "20ms", max: "200ms" } };
    const kinds = [
      { name: "folder", kind: directory, config: v.parse(directory.schema, { type: "directory", dir: lakeDir, ...common }) },
      { name: "ingest", kind: http, config: v.parse(http.schema, { type: "http", url: "http://ingest/v1/records", ...common }) },
      { name: "store", kind: store.kind(world, faults), config: { ...v.parse(directory.schema, { type: "directory", dir: "/", ...common }) } },
    ];
    for (const { name, kind, config } of kinds) {
      const context = { name, host: "h", spoolId: spool.reader.id, doors, board: this.board, log: silent };
      const journalPath = `${spool.layout.sinks}/${name}.journal`;
      this.runners.push(await openSink({ name, kind: kind as never, config: config as never, reader: spool.reader, journalPath, context, meter }));
    }
  }

  /** Reads on from the committed position, a few chunks at once, as sources do. */
  async #read(): Promise<void> {
    const { world, total } = this.#options;
    const flying = new Set<Promise<void>>();
    for (let n = this.started; n < total && !this.#sourceStop.signal.aborted;) {
      const first = n;
      n = Math.min(total, n + 1 + world.random.below(40));
      const emitted = this.#emit(first, n).finally(() => flying.delete(emitted));
      flying.add(emitted);
      while (flying.size >= 3) await Promise.race(flying);
      if (world.random.chance(0.3)) await world.clock.sleep(world.random.below(120), this.#sourceStop.signal);
    }
    await Promise.all(flying);
  }

  async #emit(first: number, end: number): Promise<void> {
    const { world } = this.#options;
    const write = (frames: Frames): void => {
      for (let n = first; n < end; n++) {
        const bytes = Buffer.from(`${recordOf(n)}\n`);
        const timeMs = world.clock.now() + (n % 200 === 0 ? quarterMs : 0);
        const frame = frames("", {}, timeMs, bytes.byteLength);
        frame.bytes.set(bytes, frame.length);
        frame.length += bytes.byteLength;
        frame.records++;
        frame.minMs = Math.min(frame.minMs, timeMs);
        frame.maxMs = Math.max(frame.maxMs, timeMs);
      }
    };
    await this.spool?.append(write, "app", { n: end });
    this.acknowledged = Math.max(this.acknowledged, end);
    world.note(`acknowledged ${this.acknowledged}`);
  }
}

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}
