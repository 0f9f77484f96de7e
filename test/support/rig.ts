/** A sink of the delivery loop's own test: a spool in memory, a scripted far side, the real journal on a real disk. */
import { afterAll, beforeAll } from "bun:test";
import { createBoard } from "../../src/core/board.ts";
import type { Delivery } from "../../src/core/contract.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/fault.ts";
import { silent } from "../../src/core/log.ts";
import { createMeter } from "../../src/core/meter.ts";
import { openSink, type SinkOptions, type SinkRunner } from "../../src/sink/deliver.ts";
import { openSinkOrHold } from "../../src/sink/hold.ts";
import { scratch, type Scratch } from "./scratch.ts";
import { FarSide, scriptedKind, testDelivery, type Receiver, type Script } from "./sink.ts";
import { MemorySpool, spoolId } from "./spool.ts";
import { until } from "./until.ts";

let dir: Scratch;
let count = 0;
const meter = createMeter();

/** Once in each file that makes rigs: their folder. */
export function useRigs(): void {
  beforeAll(async () => {
    dir = await scratch();
  });
  afterAll(() => dir[Symbol.asyncDispose]());
}

/** A sink on a spool of its own; opened again with `open` it is the next life. */
export class Rig {
  spool = new MemorySpool();
  readonly far = new FarSide();
  readonly journalPath = dir.join(`${count++}.journal`);
  board = createBoard(silent, Date.now);
  doors: Doors = systemDoors;
  script: Script = () => undefined;
  framesMax: number | undefined;
  /** The far side keeps no objects and answers so. */
  receiver: Receiver | undefined;
  /** The sink had a journal before: it holds when that is lost. */
  expected = false;
  readonly delivery: Delivery;
  stop = new AbortController();
  kill = new AbortController();

  constructor(delivery: Partial<Delivery> = {}) {
    this.delivery = { ...testDelivery, ...delivery };
  }

  async open(): Promise<SinkRunner & { done: Promise<void> }> {
    this.stop = new AbortController();
    this.kill = new AbortController();
    this.board = createBoard(silent, Date.now);
    const options: SinkOptions<Delivery> = {
      name: "lake",
      kind: scriptedKind(this.far, (batch, far, signals) => this.script(batch, far, signals), this.framesMax, this.receiver),
      config: this.delivery,
      reader: this.spool,
      journalPath: this.journalPath,
      context: { name: "lake", host: "edge 1", spoolId, doors: this.doors, board: this.board, log: silent },
      meter,
    };
    const runner = this.expected ? await openSinkOrHold({ ...options, expected: true, made: () => Promise.resolve() }) : await openSink(options);
    return Object.assign(runner, { done: runner.run({ stop: this.stop.signal, kill: this.kill.signal }) });
  }

  /** One life that delivers all there is. */
  async drain(): Promise<SinkRunner> {
    await using runner = await this.open();
    this.stop.abort();
    await runner.done;
    return runner;
  }

  /** One life that is cut once `condition` holds. */
  async cut(condition: () => boolean): Promise<void> {
    await using runner = await this.open();
    await soon(condition);
    this.kill.abort();
    await runner.done;
  }

  /** Record numbers of each object, in the order of arrival. */
  objects(): number[][] {
    return [...this.far.objects.values()]
      .filter((object) => !object.foreign)
      .map((object) => FarSide.records(object).map((record) => record["n"] as number));
  }

  all(): number[] {
    return this.objects()
      .flat()
      .sort((a, b) => a - b);
  }
}

export const records = (first: number, size: number, more: object = {}): object[] =>
  Array.from({ length: size }, (_, at) => ({ n: first + at, ...more }));
export const upTo = (end: number): number[] => Array.from({ length: end }, (_, n) => n);
export const noise = (bytes: number): string => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("base64");
export const hourly = { template: "source={source}/hour=%H", zone: "UTC" };
export const at = (time: string): number => Date.parse(`2026-11-23T${time}Z`);
export const later = (more: object = {}) => Promise.reject(new Fault({ code: "far_away", retry: "later", message: "put", hint: "wait", ...more }));

/** `until`, saying in its own words what never happened. */
export const soon = (condition: () => boolean | Promise<boolean>): Promise<true> => until(condition, condition.toString());
