/** An `http` source on a port of its own, joined to its encoder and a spool in memory: what a sender of records meets. */
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Chunk, Emit, Json, SourceContext } from "../../src/core/contract.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/fault.ts";
import { readBytes } from "../../src/core/limits.ts";
import { createLog } from "../../src/core/log.ts";
import { Buffers } from "../../src/core/pool.ts";
import { createEncoder, type Encoder } from "../../src/pipeline/encoder.ts";
import { http } from "../../src/source/http/source.ts";
import { collectFrames } from "./frames.ts";

export const receiverId = "0123456789abcdef0123456789abcdef";

export interface Receiver extends AsyncDisposable {
  /** The URL that takes records. */
  readonly url: string;
  readonly board: Board;
  /** Lines of its log. */
  readonly log: string[];
  /**
   * `records` and `positions` are durable, `pending` emits are not yet. `hold`: nothing becomes durable until `release`.
   * `crash`: what was not durable is gone, every emit is rejected.
   */
  readonly store: Pick<Store, "records" | "positions" | "pending" | "hold" | "release" | "crash">;
  /** `accepting` false: the spool says that it takes nothing. */
  readonly far: { accepting: boolean };
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Response>;
  stop(): Promise<void>;
}

export interface ReceiverOptions {
  readonly positions?: ReadonlyMap<string, Json>;
  readonly doors?: Partial<Doors>;
  /** Opened, but `run` is not called. */
  readonly idle?: boolean;
  readonly once?: boolean;
}

interface Pending {
  readonly chunk: Chunk;
  readonly records: Record<string, unknown>[];
  readonly done: PromiseWithResolvers<void>;
}

/** The spool's side: encodes at once, commits in the order of the calls a little later. */
class Store {
  readonly records: Record<string, unknown>[] = [];
  readonly positions: Map<string, Json>;
  readonly #encoder: Encoder;
  #queue: Pending[] = [];
  #held = false;
  #closed = false;

  constructor(encoder: Encoder, positions: ReadonlyMap<string, Json> | undefined) {
    this.#encoder = encoder;
    this.positions = new Map(positions);
  }

  get pending(): number {
    return this.#queue.length;
  }

  readonly emit: Emit = async (chunk) => {
    if (this.#closed) throw spoolClosed();
    const collected = collectFrames();
    this.#encoder.encode(chunk, collected.frames);
    const done = Promise.withResolvers<void>();
    this.#queue.push({ chunk, records: collected.records(), done });
    setTimeout(() => this.#commit(), 1);
    return done.promise;
  };

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#commit();
  }

  crash(): void {
    this.#closed = true;
    for (const { done } of this.#queue.splice(0)) done.reject(spoolClosed());
  }

  #commit(): void {
    if (this.#held) return;
    for (const { chunk, records, done } of this.#queue.splice(0)) {
      this.records.push(...records);
      for (const [key, value] of Object.entries(chunk.position ?? {})) {
        if (value === null) this.positions.delete(key);
        else this.positions.set(key, value);
      }
      done.resolve();
    }
  }
}

/** `config` are the keys of the source beside `type` and `listen`. */
export async function startReceiver(config: Record<string, unknown> = {}, options: ReceiverOptions = {}): Promise<Receiver> {
  const log: string[] = [];
  const logger = createLog((line) => log.push(line), { level: "info", format: "json", now: () => 0 });
  const board = createBoard(logger, () => 0);
  const parsed = v.parse(http.schema, { type: "http", listen: "127.0.0.1:0", ...config });
  const { labels, line_bytes_max: lineBytesMax, empty_lines: emptyLines } = parsed;
  const fields = { from: true, source: true, host: true, labels: [] };
  const store = new Store(
    createEncoder({ name: "ingest", host: "central", labels, fields, lineBytesMax, emptyLines, keys: parsed }),
    options.positions,
  );
  const far = { accepting: true };
  const context: SourceContext = {
    name: "ingest",
    host: "central",
    once: options.once ?? false,
    positions: new Map(options.positions),
    accepting: () => far.accepting,
    spoolId: receiverId,
    buffers: new Buffers(readBytes, 1),
    doors: { ...systemDoors, ...options.doors },
    board,
    log: logger,
  };
  const source = await http.open(parsed, context);
  const stop = new AbortController();
  const kill = new AbortController();
  const url = source.status().listen ?? "";
  const run = options.idle === true ? Promise.resolve() : source.run(store.emit, { stop: stop.signal, kill: kill.signal });
  run.catch(() => {}); // whoever stops it sees it
  return {
    url,
    board,
    log,
    store,
    far,
    post: (body, headers = {}) => fetch(url, { method: "POST", body: body as string, headers }),
    stop() {
      stop.abort();
      return run;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      kill.abort();
      try {
        await run;
      } finally {
        await source[Symbol.asyncDispose]();
      }
    },
  };
}

function spoolClosed(): Fault {
  return new Fault({ code: "spool_closed", retry: "never", message: "the spool was closed" });
}
