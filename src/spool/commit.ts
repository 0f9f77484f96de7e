/**
 * Group commit: who appends is let in while there is room, what has gathered goes out as one group, one at a time.
 *
 * A group is due when its first record has waited `commit_interval`, or as soon as a frame is full. While it is being
 * compressed, written and synced the next one gathers, up to `groupBytes`: a slow disk costs latency, not throughput.
 * A group that cannot be written is kept and tried again until it can, or until the spool is killed; nobody who waits
 * for it is told anything before that. When the spool or the disk is full it waits here, and so does everybody behind it.
 */
import type { Board } from "../core/board.ts";
import type { Doors } from "../core/doors.ts";
import type { PositionDelta, Frames, SpoolStatus, SpoolWriter } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { giveBack } from "../core/lend.ts";
import { backoffMs } from "../core/retry.ts";
import { Changed } from "../core/signals.ts";
import type { BySource } from "./drops.ts";
import type { Gather, Gathered, Waiter } from "./gather.ts";
import type { Space } from "./space.ts";
import { SegmentWriter, type Group } from "./writer.ts";

interface Appending extends Waiter {
  readonly write: (frames: Frames) => void;
  readonly source: string;
  readonly delta: PositionDelta | (() => PositionDelta | undefined) | undefined;
}

export interface CommitterOptions {
  readonly doors: Doors;
  readonly board: Board;
  readonly gather: Gather;
  readonly writer: SegmentWriter;
  readonly space: Space;
  readonly intervalMs: number;
  /** NDJSON bytes a group may gather. */
  readonly groupBytes: number;
  /** Called once a group counts, before those who wait are told: seconds from its first record to its sync, and whose records it holds. */
  readonly committed: (seconds: number, sources: BySource) => void;
  /** Aborted: give up at once, what is not synced is not acknowledged. */
  readonly kill: AbortSignal;
}

const retryMsMin = 100;
const retryMsMax = 5000;

export class Committer implements SpoolWriter {
  readonly #options: CommitterOptions;
  readonly #queue: Appending[] = [];
  readonly #arrived = new Changed();
  #flushing = false;
  #closed = false;
  /** Codes of the faults that a write failed with since the last one that worked. */
  readonly #failing = new Set<string>();
  readonly #done: Promise<void>;

  constructor(options: CommitterOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  append(write: (frames: Frames) => void, source: string, delta?: PositionDelta | (() => PositionDelta | undefined)): Promise<void> {
    if (this.#closed) return Promise.reject(closedFault());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ write, source, delta, resolve, reject });
    this.#admit();
    return promise;
  }

  /** Why nothing is taken in now. */
  paused(): SpoolStatus["paused"] {
    return this.#failing.size > 0 ? "failing" : this.#options.space.paused;
  }

  /** Resolves when everything appended so far is durable (or was rejected); takes nothing in any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#flushing = true;
    this.#arrived.notify();
    await this.#done;
  }

  #admit(): void {
    const { gather, groupBytes, doors } = this.#options;
    let next: Appending | undefined;
    const wasEmpty = gather.empty();
    while (gather.rawBytes() < groupBytes && (next = this.#queue.shift()) !== undefined) {
      try {
        next.write(gather.frames);
      } catch (cause) {
        next.reject(cause);
        continue;
      }
      gather.add(next.source, typeof next.delta === "function" ? next.delta() : next.delta, next, doors.clock.monotonic());
    }
    // Only what changes when the group is due: the first of it, and a frame that is full.
    if (gather.filled || (wasEmpty && !gather.empty())) this.#arrived.notify();
  }

  async #run(): Promise<void> {
    const { gather, kill } = this.#options;
    for (;;) {
      await this.#due();
      if (kill.aborted || (this.#closed && gather.empty())) break;
      const gathered = gather.take();
      this.#admit();
      await this.#commit(gathered);
    }
    this.#closed = true; // after a kill, too: whoever comes now is told at once, and does not wait for ever
    for (const waiter of [...gather.take().waiters, ...this.#queue.splice(0)]) waiter.reject(closedFault());
  }

  /** Resolves when there is a group worth writing, or none will come any more. */
  async #due(): Promise<void> {
    const { gather, doors, intervalMs, kill } = this.#options;
    while (!kill.aborted) {
      if (gather.empty()) {
        if (this.#flushing) return;
        await this.#arrived.wait(kill);
        continue;
      }
      const leftMs = (gather.sinceMs ?? 0) + intervalMs - doors.clock.monotonic();
      if (leftMs <= 0 || gather.filled || this.#flushing) return;
      const wake = new AbortController();
      await Promise.race([doors.clock.sleep(leftMs, kill, wake.signal), this.#arrived.wait(wake.signal)]);
      wake.abort();
    }
  }

  async #commit(gathered: Gathered): Promise<void> {
    const { doors, committed } = this.#options;
    const group: Group = {
      delta: gathered.delta,
      frames: await Promise.all(
        gathered.frames.map(async ({ payload, ...frame }) => {
          const bytes = await payload;
          return { payload: bytes, header: { ...frame, payloadBytes: bytes.byteLength, payloadCrc: Bun.hash.crc32(bytes) } };
        }),
      ),
    };
    if (!(await this.#write(group))) {
      for (const waiter of gathered.waiters) waiter.reject(closedFault());
      return;
    }
    committed((doors.clock.monotonic() - gathered.sinceMs) / 1000, gathered.sources);
    for (const waiter of gathered.waiters) waiter.resolve();
  }

  /** True once the group is durable; false when the spool was killed before. */
  async #write(group: Group): Promise<boolean> {
    const { doors, board, writer, space, kill } = this.#options;
    if (group.frames.length === 0 && Object.keys(group.delta).length === 0) return true;
    for (let attempt = 0; ; attempt++) {
      if (!(await space.reserve(SegmentWriter.bytesOf(group), () => writer.roll(), kill))) return false;
      try {
        await writer.write(group);
        for (const { payload } of group.frames) giveBack(payload);
        for (const code of this.#failing) board.clear("spool", code);
        this.#failing.clear();
        return true;
      } catch (cause) {
        if (!(cause instanceof Fault)) throw cause;
        this.#failing.add(cause.code);
        board.raise("spool", "failing", cause);
        if (cause.code === "spool_no_space") await space.giveReserve();
      }
      await doors.clock.sleep(
        backoffMs(attempt, retryMsMin, retryMsMax, () => doors.random.next()),
        kill,
      );
    }
  }
}

function closedFault(): Fault {
  return new Fault({
    code: "spool_closed",
    retry: "never",
    message: "append to spool: it is closed",
    hint: "logferry is stopping; what was not acknowledged is read again at the next start",
  });
}
