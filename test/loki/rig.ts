/** The source against the fake in simulated time: a spool that commits every 250 ms, a disk in memory, kills between any two steps. */
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Chunk, Emit, Json, Source } from "../../src/core/contract.ts";
import type { Disk, DiskFile, FileStat } from "../../src/core/disk.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/fault.ts";
import { readBytes } from "../../src/core/limits.ts";
import { silent } from "../../src/core/log.ts";
import { Buffers } from "../../src/core/pool.ts";
import { loki } from "../../src/source/loki/source.ts";
import { SimulatedClock } from "../support/loki/clock.ts";
import { pairsOf } from "../support/loki/store.ts";
import { lokiNetwork } from "../support/loki/door.ts";
import { FakeLoki } from "../support/loki/fake.ts";

const commitMs = 250;
export const minuteMs = 60_000;

/** A clock that stands still, a fake and a rig. */
export function world(): { clock: SimulatedClock; fake: FakeLoki; rig: Rig } {
  const clock = new SimulatedClock();
  const fake = new FakeLoki(clock);
  return { clock, fake, rig: new Rig(fake, clock) };
}

/** Lines of one stream at one time, a nanosecond apart. */
export function push(fake: FakeLoki, lines: readonly string[], { pod = "a", agoMs = 0 }: { pod?: string; agoMs?: number } = {}): void {
  const ns = BigInt(Math.floor(fake.clock.now() - agoMs)) * 1_000_000n;
  fake.push([{ stream: { app: "web", pod }, values: lines.map((line, index) => [String(ns + BigInt(index)), line]) }]);
}

export async function end(life: Life, clock: SimulatedClock): Promise<void> {
  life.stop();
  await clock.pass(2000);
  await life.done;
}

/** What health says. */
export function codes(life: Life): string[] {
  return life.board.reasons().map(({ code, severity }) => `${severity} ${code}`);
}

/** Files by path; what was written is there. */
export function memoryDisk(): Disk {
  const files = new Map<string, Uint8Array>();
  const stat = (path: string): FileStat => ({ kind: "file", bytes: files.get(path)?.length ?? 0, device: 1, inode: 1, links: 1, modifiedMs: 0 });
  const open = (path: string): DiskFile => ({
    path,
    read(into, position) {
      const part = (files.get(path) ?? new Uint8Array(0)).subarray(position, position + into.byteLength);
      into.set(part);
      return Promise.resolve(part.byteLength);
    },
    write(parts, position) {
      const added = Buffer.concat(parts);
      const before = files.get(path) ?? new Uint8Array(0);
      const after = new Uint8Array(Math.max(before.length, position + added.length));
      after.set(before);
      after.set(added, position);
      files.set(path, after);
      return Promise.resolve();
    },
    datasync: () => Promise.resolve(),
    truncate: () => Promise.resolve(),
    stat: () => Promise.resolve(stat(path)),
    close: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
  return {
    ...systemDoors.disk,
    open: (path) => Promise.resolve(open(path)),
    list: (path) => Promise.resolve([...files.keys()].filter((name) => name.startsWith(`${path}/`)).map((name) => name.slice(path.length + 1))),
    stat: (path) => Promise.resolve(path.includes(".keys") ? (files.has(path) ? stat(path) : undefined) : stat(path)),
    makeDirectory: () => Promise.resolve(),
    remove: (path) => Promise.resolve(void files.delete(path)),
    syncDirectory: () => Promise.resolve(),
  };
}

export interface Life {
  readonly source: Source;
  readonly board: Board;
  readonly done: Promise<void>;
  stop(): void;
  /** As kill -9: nothing that is not committed comes to be. */
  kill(): void;
}

/** What was committed, over all lives. */
export class Rig {
  readonly records: { timestamp: string; labels: Record<string, string>; metadata?: Record<string, string>; message: string; seenMs: number }[] = [];
  readonly positions = new Map<string, Json>();
  readonly disk = memoryDisk();
  readonly network: ReturnType<typeof lokiNetwork>;
  readonly fake: FakeLoki;
  readonly clock: SimulatedClock;
  held = false;
  /** The next commit is refused. */
  refuse: Fault | undefined;

  constructor(fake: FakeLoki, clock: SimulatedClock) {
    this.fake = fake;
    this.clock = clock;
    this.network = lokiNetwork(fake);
  }

  async begin(config: Readonly<Record<string, unknown>> = {}, once = false): Promise<Life> {
    const { clock } = this;
    const board = createBoard(silent, () => clock.now());
    const doors = { ...systemDoors, clock, disk: this.disk, network: this.network, random: this.fake.random };
    const stop = new AbortController();
    const kill = new AbortController();
    let dead = false;
    const emit: Emit = (chunk) => this.#commit(chunk, () => dead);
    const given = { type: "loki", url: "http://loki", query: '{app="web"}', tenant: "t1", ...config };
    const source = await loki.open(v.parse(loki.schema, given), {
      name: "app",
      host: "edge-1",
      once,
      positions: new Map(this.positions),
      directory: "/state",
      accepting: () => !this.held,
      spoolId: "0".repeat(32),
      buffers: new Buffers(readBytes, 2),
      doors,
      board,
      log: silent,
    });
    const done = source.run(emit, { stop: stop.signal, kill: kill.signal });
    done.catch(() => {}); // whoever awaits it sees it
    return {
      source,
      board,
      done,
      stop: () => stop.abort(),
      kill() {
        dead = true;
        kill.abort();
        stop.abort();
      },
    };
  }

  #turn: Promise<void> = Promise.resolve();

  /** One after the other, in the order of the calls. */
  #commit(chunk: Chunk, dead: () => boolean): Promise<void> {
    const due = this.clock.now() + commitMs - (this.clock.now() % commitMs);
    const turn = this.#turn.then(async () => {
      await this.clock.sleep(Math.max(0, due - this.clock.now()));
      while (this.held && !dead()) await this.clock.sleep(commitMs);
      if (dead()) throw new Fault({ code: "spool_closed", retry: "never", message: "the spool was closed" });
      if (this.refuse !== undefined) throw this.refuse;
      for (const line of Buffer.from(chunk.bytes).toString().split("\n").slice(0, -1))
        this.records.push({ ...(JSON.parse(line) as Rig["records"][number]), seenMs: this.clock.now() });
      for (const [key, value] of Object.entries(chunk.position ?? {})) {
        if (value === null) this.positions.delete(key);
        else this.positions.set(key, value);
      }
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** What the server holds and what was committed, as sorted texts to compare. */
export function identities(fake: FakeLoki): string[] {
  const found: string[] = [];
  for (const { labels, entries } of fake.store.streams.values())
    for (const { ns, line, metadata } of entries) found.push(`${timeOf(ns)} ${sortedJson(labels)} ${sortedJson(metadata)} ${line}`);
  return found.toSorted();
}

export function committed(rig: Rig): string[] {
  return rig.records
    .map(({ timestamp, labels, metadata = {}, message }) => `${timestamp} ${sortedJson(labels)} ${sortedJson(metadata)} ${message}`)
    .toSorted();
}

/** As a record has it. */
export function timeOf(ns: bigint): string {
  return `${new Date(Number(ns / 1_000_000_000n) * 1000).toISOString().slice(0, 19)}.${String(ns % 1_000_000_000n).padStart(9, "0")}Z`;
}

function sortedJson(map: Readonly<Record<string, string>>): string {
  return JSON.stringify(pairsOf(map));
}
