/** An `http` source on a port of its own, joined to its encoder and a spool in memory: what a sender of records meets. */
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Chunk, Emit, Json, SourceContext } from "../../src/core/contract.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/fault.ts";
import { readBytes } from "../../src/core/limits.ts";
import { createLog } from "../../src/core/log.ts";
import { Buffers } from "../../src/core/pool.ts";
import { createEncoder } from "../../src/pipeline/encoder.ts";
import { http } from "../../src/source/http/source.ts";
import { collectFrames } from "./frames.ts";

export const receiverId = "0123456789abcdef0123456789abcdef";

export interface Receiver extends AsyncDisposable {
  /** The URL that takes records. */
  readonly url: string;
  readonly board: Board;
  /** Lines of its log. */
  readonly log: string[];
  /** Durable records, parsed, and the positions committed with them. */
  readonly records: Record<string, unknown>[];
  readonly positions: Map<string, Json>;
  /** False: the spool says that it takes nothing. */
  accepting: boolean;
  /** Emits that are not durable yet. */
  readonly pending: number;
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Response>;
  /** Nothing becomes durable until `release`. */
  hold(): void;
  release(): void;
  /** What was not durable is gone, as with a crash; every emit is rejected. */
  crash(): void;
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

/** `config` are the keys of the source beside `type` and `listen`. */
export async function startReceiver(config: Record<string, unknown> = {}, options: ReceiverOptions = {}): Promise<Receiver> {
  const records: Record<string, unknown>[] = [];
  const positions = new Map(options.positions);
  const log: string[] = [];
  const board = createBoard(
    createLog((line) => log.push(line), { level: "info", format: "json", now: () => 0 }),
    () => 0,
  );
  const parsed = v.parse(http.schema, { type: "http", listen: "127.0.0.1:0", ...config });
  const { labels, line_bytes_max: lineBytesMax, empty_lines: emptyLines } = parsed;
  const fields = { from: true, source: true, host: true, labels: [] };
  const encoder = createEncoder({ name: "ingest", host: "central", labels, fields, lineBytesMax, emptyLines });
  const state = { accepting: true, held: false, closed: false };
  let queue: Pending[] = [];
  const commit = (): void => {
    for (const { chunk, records: added, done } of queue.splice(0)) {
      records.push(...added);
      for (const [key, value] of Object.entries(chunk.position ?? {})) {
        if (value === null) positions.delete(key);
        else positions.set(key, value);
      }
      done.resolve();
    }
  };
  const emit: Emit = async (chunk) => {
    if (state.closed) throw spoolClosed();
    const collected = collectFrames();
    encoder.encode(chunk, collected.frames);
    const done = Promise.withResolvers<void>();
    queue.push({ chunk, records: collected.records(), done });
    if (!state.held) setTimeout(() => state.held || commit(), 1);
    return done.promise;
  };
  const context: SourceContext = {
    name: "ingest",
    host: "central",
    once: options.once ?? false,
    positions: new Map(options.positions),
    accepting: () => state.accepting,
    spoolId: receiverId,
    buffers: new Buffers(readBytes, 1),
    doors: { ...systemDoors, ...options.doors },
    board,
    log: createLog((line) => log.push(line), { level: "info", format: "json", now: () => 0 }),
  };
  const source = await http.open(parsed, context);
  const stop = new AbortController();
  const kill = new AbortController();
  const url = source.status().listen ?? "";
  const run = options.idle === true ? Promise.resolve() : source.run(emit, { stop: stop.signal, kill: kill.signal });
  run.catch(() => {}); // whoever stops it sees it
  return {
    url,
    board,
    log,
    records,
    positions,
    get accepting() {
      return state.accepting;
    },
    set accepting(value) {
      state.accepting = value;
    },
    get pending() {
      return queue.length;
    },
    post: (body, headers = {}) => fetch(url, { method: "POST", body: body as string, headers }),
    hold() {
      state.held = true;
    },
    release() {
      state.held = false;
      commit();
    },
    crash() {
      state.closed = true;
      const dropped = queue;
      queue = [];
      for (const { done } of dropped) done.reject(spoolClosed());
    },
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
