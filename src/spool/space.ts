/**
 * Whether a group may be written: `max_bytes` is a hard ceiling for segments, `min_free_bytes` one for the file system.
 *
 * A full spool is backpressure: the group waits here until sinks made room or the disk has some again, and goes on by itself.
 */
import type { Board } from "../core/board.ts";
import type { Doors } from "../core/doors.ts";
import type { SpoolStatus } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { orAborted } from "../core/signals.ts";
import type { Reserve } from "./reserve.ts";
import type { Retain } from "./retain.ts";
import type { Segments } from "./segments.ts";

export interface SpaceOptions {
  readonly doors: Doors;
  readonly board: Board;
  readonly segments: Segments;
  readonly retain: Retain;
  readonly reserve: Reserve;
  readonly dir: string;
  readonly maxBytes: number;
  readonly minFreeBytes: number;
}

/** How often a full disk is looked at again; sinks wake us earlier when they have made room. */
const lookMs = 500;
/** Between two looks at the file system while it has plenty: the spool itself grows at most by a few groups in that time. */
const freeLookMs = 1000;

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export class Space {
  readonly #options: SpaceOptions;
  paused: SpoolStatus["paused"] = "";
  #freeBytes = Infinity;
  #freeSeenMs = -Infinity;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /** Resolves true when `bytes` may be written now, false when `kill` came first. `roll` ends the newest segment so that it may go. */
  async reserve(bytes: number, roll: () => Promise<void>, kill: AbortSignal): Promise<boolean> {
    for (;;) {
      if (kill.aborted) return false;
      const fault = this.#overfull(bytes) ?? (await this.#diskFull(bytes));
      if (fault === undefined) {
        this.#goOn();
        return true;
      }
      if (fault.code === "spool_full") {
        const before = this.#options.segments.heldBytes();
        await this.#free(roll);
        if (this.#options.segments.heldBytes() < before) continue;
      }
      this.#pause(fault);
      const { doors, segments } = this.#options;
      await orAborted(Promise.race([doors.clock.sleep(lookMs, kill), segments.changed.wait(kill)]), kill);
    }
  }

  /** The disk took no more: what was kept aside is given up for journals and checkpoints. */
  async giveReserve(): Promise<void> {
    this.#freeSeenMs = -Infinity;
    await this.#options.reserve.release();
  }

  #overfull(bytes: number): Fault | undefined {
    const { segments, maxBytes } = this.#options;
    if (segments.heldBytes() + bytes <= maxBytes) return undefined;
    return new Fault({
      code: "spool_full",
      retry: "later",
      message: `append to spool: ${mib(segments.heldBytes())} of ${mib(maxBytes)} are undelivered, sources wait`,
      hint: "mend the sink that lags (see its reason), or raise spool.max_bytes; reading goes on by itself as soon as there is room",
    });
  }

  async #diskFull(bytes: number): Promise<Fault | undefined> {
    const { doors, reserve, dir, minFreeBytes } = this.#options;
    const now = doors.clock.monotonic();
    if (this.paused !== "" || now - this.#freeSeenMs >= freeLookMs || this.#freeBytes < minFreeBytes * 2) {
      this.#freeBytes = (await doors.disk.space(dir)).freeBytes;
      this.#freeSeenMs = now;
    }
    if (this.#freeBytes - bytes >= minFreeBytes) {
      this.#freeBytes -= bytes;
      if (!reserve.held) await reserve.take();
      return undefined;
    }
    return new Fault({
      code: "spool_disk_full",
      retry: "later",
      message: `append to spool: ${mib(this.#freeBytes)} free on the file system of ${dir}, spool.min_free_bytes keeps ${mib(minFreeBytes)}`,
      hint: "free space on that file system, or lower spool.min_free_bytes; reading goes on by itself as soon as there is room",
    });
  }

  async #free(roll: () => Promise<void>): Promise<void> {
    const { segments, retain } = this.#options;
    const newest = segments.newest();
    if (newest?.endedMs === undefined && newest !== undefined && newest.nextSequence <= retain.needed()) await roll();
    await retain.run(true);
  }

  #pause(fault: Fault): void {
    const reason = fault.code === "spool_full" ? "full" : "no_space";
    if (this.paused !== reason) this.#options.board.clear("spool");
    if (this.paused !== reason) this.#options.board.raise("spool", "failing", fault);
    this.paused = reason;
  }

  #goOn(): void {
    if (this.paused === "") return;
    this.paused = "";
    this.#options.board.clear("spool");
  }
}
