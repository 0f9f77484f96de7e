/** A real spool over a real folder for tests of the spool itself: opened, appended to as an encoder does, read as sinks do. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as v from "valibot";
import { createBoard, type Board } from "../../src/core/board.ts";
import type { Frames, PositionDelta, Stream } from "../../src/core/contract.ts";
import type { Disk } from "../../src/core/disk.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { createMeter } from "../../src/core/meter.ts";
import { spoolSchema } from "../../src/spool/config.ts";
import { openSpool, type Spool } from "../../src/spool/spool.ts";

export interface SpoolRigOptions {
  /** Keys of the configuration as people write them. */
  readonly config?: Record<string, unknown>;
  /** Below what the configuration allows, for many segments of few records. */
  readonly segmentBytes?: number;
  readonly disk?: Disk;
  readonly sinks?: readonly string[];
  readonly holds?: ReadonlyMap<string, number>;
  readonly kill?: AbortSignal;
}

export class SpoolRig implements AsyncDisposable {
  readonly dir: string;
  readonly spool: Spool;
  readonly board: Board;

  private constructor(dir: string, spool: Spool, board: Board) {
    this.dir = dir;
    this.spool = spool;
    this.board = board;
  }

  /** Opens the spool in `dir`, a new folder when there is none given. */
  static async open(options: SpoolRigOptions = {}, dir?: string): Promise<SpoolRig> {
    const folder = dir ?? (await mkdtemp(`${tmpdir()}/logferry-spool-`));
    const board = createBoard(silent, () => 0);
    const spool = await openSpool({
      config: {
        ...v.parse(spoolSchema, { dir: folder, commit_interval: "5ms", min_free_bytes: 0, ...options.config }),
        ...(options.segmentBytes === undefined ? {} : { segment_bytes: options.segmentBytes }),
      },
      doors: { ...systemDoors, disk: options.disk ?? systemDoors.disk },
      board,
      log: silent,
      meter: createMeter(),
      writer: "0.0.0-test",
      machineId: "m1",
      sinks: options.sinks ?? ["lake"],
      ...(options.holds === undefined ? {} : { holds: options.holds }),
      kill: options.kill ?? new AbortController().signal,
    });
    return new SpoolRig(folder, spool, board);
  }

  /** Appends records of `source`; resolves when they are durable. */
  put(records: readonly string[], source = "app", delta?: PositionDelta, stream: Stream = {}): Promise<void> {
    return this.spool.append((frames) => write(frames, records, stream), source, delta);
  }

  /** Every record from `sequence` on; where some are missing, `dropped N` or `lost N`. */
  async read(sequence = 0): Promise<string[]> {
    const { reader } = this.spool;
    const found: string[] = [];
    for (let at = sequence; at < reader.nextSequence();) {
      for (const piece of await reader.pieces(at, 10)) {
        if ("lost" in piece) {
          found.push(`${piece.lost.dropped === true ? "dropped" : "lost"} ${piece.lost.records}`);
          at = piece.lost.firstSequence + piece.lost.records;
          continue;
        }
        const { frame } = piece;
        const raw = Buffer.from(await systemDoors.compress.unzstd(await reader.payload(frame))).toString("utf8");
        found.push(...raw.trimEnd().split("\n"));
        at = frame.firstSequence + frame.records;
      }
    }
    return found;
  }

  async close(): Promise<void> {
    await this.spool.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.spool.close().catch(() => {}); // closed by the test
    await rm(this.dir, { recursive: true, force: true });
  }
}

function write(frames: Frames, records: readonly string[], stream: Stream): void {
  const timeMs = 1_000_000;
  for (const record of records) {
    const bytes = Buffer.from(`${record}\n`);
    const frame = frames(JSON.stringify(stream), stream, timeMs, bytes.byteLength);
    frame.bytes.set(bytes, frame.length);
    frame.length += bytes.byteLength;
    frame.records++;
    frame.minMs = Math.min(frame.minMs, timeMs);
    frame.maxMs = Math.max(frame.maxMs, timeMs);
  }
}

/** A record of `source` with number `n` that does not compress: about `bytes` in the spool. */
export function noise(n: number, bytes: number, source = "app"): string {
  return JSON.stringify({ source, n, x: Buffer.from(systemDoors.random.bytes(bytes)).toString("base64") });
}
