/** A sink `loki` beside a Loki with its own rules and words: `useLoki()` once in a file that tests it. */
import { afterEach, beforeEach } from "bun:test";
import * as v from "valibot";
import { type Board, createBoard } from "../../../src/core/board.ts";
import type { Fault } from "../../../src/core/fault.ts";
import type { Json, Receipt, Sink } from "../../../src/core/contract.ts";
import { systemDoors } from "../../../src/core/doors.ts";
import { silent } from "../../../src/core/log.ts";
import { type Config, schema } from "../../../src/sink/loki/config.ts";
import { loki } from "../../../src/sink/loki/sink.ts";
import { testBatch, testSignals, type TestBatch } from "../batch.ts";
import { scratch, type Scratch } from "../scratch.ts";
import { faultOf } from "../store.ts";
import { FakeLoki } from "./fake.ts";
import { type LokiServer, serveLoki } from "./server.ts";

type Overrides = Record<string, unknown>;

/** What a record says; `ms` is behind `begunMs`, `ns` are digits behind the milliseconds. */
export interface Written {
  source?: string;
  ms?: number;
  ns?: string;
  message?: string;
}

export const begunMs = Date.now() - 60_000;
export const hours = (count: number): number => count * 3_600_000;

export const lineOf = ({ source = "app", ms = 0, ns = "", message = "m" }: Written, offset: number): string =>
  `${JSON.stringify({ timestamp: new Date(begunMs + ms).toISOString().replace("Z", `${ns}Z`), host: "edge-1", source, file: "/a", offset, message })}\n`;

export const numbered = (count: number, more: Written = {}): Written[] =>
  Array.from({ length: count }, (_, at) => ({ message: `n=${at}`, ms: at, ...more }));

/** Plain text; sequences from 100 on, offsets from 0. */
export const batchOf = (records: readonly Written[], overrides: Parameters<typeof testBatch>[1] = {}): TestBatch =>
  testBatch([Buffer.from(records.map((record, at) => lineOf(record, at)).join(""))], {
    lane: "0",
    codec: "none",
    ranges: [[100, 99 + records.length]],
    records: records.length,
    ...overrides,
  });

/** All of it is new for each test. */
export class LokiRig {
  dir!: Scratch;
  fake!: FakeLoki;
  server!: LokiServer;
  board!: Board;
  /** What the last delivery left, as the journal would have it. */
  state: Json | undefined;

  config(overrides: Overrides = {}): Config {
    return v.parse(schema, { type: "loki", url: this.server.url, tenant: "t1", ...overrides });
  }

  open(overrides: Overrides = {}): Promise<Sink> {
    const context = { state: this.state, name: "logs", host: "edge-1", spoolId: "0".repeat(32), doors: systemDoors, board: this.board, log: silent };
    return loki.open(this.config(overrides), context);
  }

  async put(batch: TestBatch, overrides: Overrides = {}): Promise<Receipt> {
    await using sink = await this.open(overrides);
    const receipt = await sink.put(batch, testSignals().signals);
    this.state = receipt.state ?? this.state;
    return receipt;
  }

  refusal(overrides: Overrides = {}, batch: TestBatch = batchOf([{}])): Promise<Fault> {
    return faultOf(this.put(batch, overrides));
  }

  /** Lines that are stored, stream by stream, by time. */
  messages(): string[] {
    return [...this.fake.store.streams.values()].flatMap(({ entries }) => entries.map(({ line }) => line));
  }
}

export function useLoki(): LokiRig {
  const rig = new LokiRig();
  beforeEach(async () => {
    rig.dir = await scratch();
    rig.fake = new FakeLoki();
    rig.server = serveLoki(rig.fake);
    rig.board = createBoard(silent, Date.now);
    rig.state = undefined;
  });
  afterEach(async () => {
    await rig.server[Symbol.asyncDispose]();
    await rig.dir[Symbol.asyncDispose]();
  });
  return rig;
}
