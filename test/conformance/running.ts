/** A source, opened and running against a spool in memory. */
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Source, SourceContext, SourceKind } from "../../src/core/contract.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import { readBytes } from "../../src/core/limits.ts";
import { silent } from "../../src/core/log.ts";
import { Buffers } from "../../src/core/pool.ts";
import type { MemorySpool } from "./memory.ts";

/** As the agent has it: 16 buffers of 512 KiB. */
export const bufferCount = 16;

export interface RunOptions {
  readonly once?: boolean;
  readonly doors?: Doors;
  readonly name?: string;
  readonly directory?: string;
}

export interface Running extends AsyncDisposable {
  readonly source: Source;
  readonly board: Board;
  readonly buffers: Buffers;
  /** Resolves when `run` has returned. */
  readonly done: Promise<void>;
  /** Aborts `stop` and waits for `run`. */
  stop(): Promise<void>;
  /** Closes the spool under it and aborts `kill`: as near to a kill -9 as it gets within a process. */
  kill(): Promise<void>;
}

export async function startSource(kind: SourceKind, config: unknown, spool: MemorySpool, options: RunOptions = {}): Promise<Running> {
  const board = createBoard(silent, () => Date.now());
  const buffers = new Buffers(readBytes, bufferCount);
  const context: SourceContext = {
    name: options.name ?? "app",
    host: "edge-1",
    once: options.once ?? false,
    positions: new Map(spool.positions),
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    accepting: () => true,
    spoolId: "0".repeat(32),
    buffers,
    doors: options.doors ?? systemDoors,
    board,
    log: silent,
  };
  const source = await kind.open(v.parse(kind.schema, config), context);
  const stop = new AbortController();
  const kill = new AbortController();
  const done = source.run(spool.emit, { stop: stop.signal, kill: kill.signal });
  done.catch(() => {}); // whoever awaits `done` sees it
  const end = async (): Promise<void> => {
    await done;
    await source[Symbol.asyncDispose]();
  };
  return {
    source,
    board,
    buffers,
    done,
    stop() {
      stop.abort();
      return end();
    },
    kill() {
      spool.close();
      kill.abort();
      stop.abort();
      return end();
    },
    async [Symbol.asyncDispose]() {
      spool.release();
      stop.abort();
      kill.abort();
      await end();
    },
  };
}
