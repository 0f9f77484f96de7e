/** One life of the reader: the real file source, its encoder and a real spool, over the doors of outside.ts. */
import * as v from "valibot";
import { SourceRunner } from "../../src/agent/source.ts";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { Emit, SourceContext, SourceKind } from "../../src/core/contract.ts";
import { toError } from "../../src/core/fault.ts";
import { silent } from "../../src/core/log.ts";
import type { Meter } from "../../src/core/meter.ts";
import { Buffers } from "../../src/core/pool.ts";
import { file } from "../../src/source/file/source.ts";
import { spoolSchema } from "../../src/spool/config.ts";
import { openSpool, type Spool } from "../../src/spool/spool.ts";
import type { Seeded } from "../sim/random.ts";
import { Outside } from "./outside.ts";
import type { Audience, Node, World } from "./world.ts";

export interface LifeOptions {
  readonly world: World;
  readonly clock: Clock;
  readonly random: Seeded;
  /** The share of file system events that come. */
  readonly events: number;
  readonly spoolDir: string;
  readonly config: object;
  /** Size of a read buffer. */
  readonly readBytes: number;
  readonly point: () => void;
  /** All lines that are durable, over all lives. */
  readonly durable: Set<string>;
}

const bufferCount = 16;
const noMeter = { source: () => {}, commit: () => {}, delivery: () => {} } as unknown as Meter;

export class Life implements Audience {
  readonly board: Board;
  /** Thrown by what must not throw. */
  broken: Error | undefined;
  over = false;
  readonly #options: LifeOptions;
  readonly #outside: Outside;
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  /** Inodes that were open when nothing was going on: then none is open just to be looked at. */
  #held = new Set<number>();

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#outside = new Outside(options);
    this.board = createBoard(silent, () => options.clock.now());
  }

  holds(node: Node): boolean {
    return !this.over && !this.#stop.signal.aborted && this.#held.has(node.inode) && this.opens(node);
  }

  opens(node: Node): boolean {
    return this.#outside.open.has(node.inode);
  }

  durable(text: string): boolean {
    return this.#options.durable.has(text);
  }

  /** To be called when nothing is going on. */
  settle(): void {
    this.#held = this.#outside.open;
  }

  /** Runs until it is stopped; never rejects. */
  async run(): Promise<void> {
    try {
      const spool = await this.#open();
      await this.#runner(spool).run({ stop: this.#stop.signal, kill: this.#kill.signal });
      await spool.close();
    } catch (cause) {
      this.broken = toError(cause);
    }
    this.#end();
  }

  /** No read begins from now on. */
  stop(): void {
    this.#stop.abort();
    this.#options.world.unread();
  }

  /** As by kill -9: what it has handed to the kernel is there, and nothing else. */
  kill(): void {
    this.#end();
  }

  #end(): void {
    if (this.over) return;
    this.over = true;
    this.#options.world.unread();
    this.#outside.end();
  }

  #open(): Promise<Spool> {
    const { spoolDir } = this.#options;
    return openSpool({
      config: v.parse(spoolSchema, { dir: spoolDir, commit_interval: "100ms", min_free_bytes: "1MiB", max_bytes: "64MiB" }),
      doors: this.#outside.doors,
      board: this.board,
      log: silent,
      meter: noMeter,
      writer: "0.0.0-sequence",
      machineId: "",
      // Never claims anything, so that every record stays.
      sinks: ["reader"],
      kill: this.#kill.signal,
      takeLock: () => ({ [Symbol.dispose]: () => {} }),
    });
  }

  #runner(spool: Spool): SourceRunner {
    const { config, readBytes } = this.#options;
    const { doors } = this.#outside;
    const { board } = this;
    const context: SourceContext = {
      name: "app",
      host: "edge-1",
      once: false,
      positions: spool.positions("app"),
      accepting: () => spool.accepting(),
      spoolId: spool.reader.id,
      buffers: new Buffers(readBytes, bufferCount),
      doors,
      board,
      log: silent,
    };
    const fields = { from: false, source: false, host: false, labels: [] };
    const kind = this.#watched(file);
    return new SourceRunner({ kind, config: v.parse(file.schema, config), context, fields, spool, doors, board, meter: noMeter });
  }

  /** The source, with every line noted whose emit has resolved. */
  #watched(kind: SourceKind): SourceKind {
    const { durable } = this.#options;
    const noting =
      (emit: Emit): Emit =>
      async (chunk) => {
        const lines = Buffer.from(chunk.bytes).toString().split("\n").slice(0, -1);
        await emit(chunk);
        for (const line of lines) durable.add(line);
      };
    return {
      ...kind,
      async open(config, context) {
        const source = await kind.open(config, context);
        return {
          run: (emit, signals) => source.run(noting(emit), signals),
          status: () => source.status(),
          [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
        };
      },
    };
  }
}
