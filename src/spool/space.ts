/**
 * Whether a group may be written: `max_bytes` is a hard ceiling for segments, `min_free_bytes` one for the file system.
 *
 * A full spool is backpressure: the group waits here until sinks made room or the disk has some again, and goes on by itself.
 * With `drop_oldest`, and for what only sinks hold that are not required, the wait is bounded: sinks are asked to ship what
 * they gather, and only once none of them has made room for `patienceMs` does the oldest segment go, one at a time.
 */
import type { Board } from "../core/board.ts";
import type { Doors } from "../core/doors.ts";
import type { SpoolStatus } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { reserveBytes } from "../core/limits.ts";
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
  /** A full spool gives up the oldest segments, whoever needs them. */
  readonly dropOldest: boolean;
  /** Two of these short of `maxBytes` sinks are asked to ship what they have, where waiting is bounded. */
  readonly segmentBytes: number;
}

/** How often a full disk is looked at again; sinks wake us earlier when they have made room. */
const lookMs = 500;
/** Between two looks at the file system while it has plenty: the spool itself grows at most by a few groups in that time. */
const freeLookMs = 1000;
/** Between two tries to take the reserve back where the file system has room and yet refuses it. */
const retakeMs = 3000;
/** A sink that ships asks for room once a second (plan.ts) and needs a moment for a batch; one that is dead never makes any. */
const patienceMs = 3000;

const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

export class Space {
  readonly #options: SpaceOptions;
  paused: SpoolStatus["paused"] = "";
  #freeBytes = Infinity;
  #freeSeenMs = -Infinity;
  /** The reserve that an earlier process left is looked for. */
  #adopted: Promise<void> | undefined;
  #retakeMs = -Infinity;
  /** Since when no sink has made room in a full spool, monotonic milliseconds. */
  #stuckMs: number | undefined;

  constructor(options: SpaceOptions) {
    this.#options = options;
  }

  /**
   * The first look, at the start: a disk that is too full is said at once, and not only when somebody has something to append. Goes on
   * until there is room.
   */
  async begin(kill: AbortSignal): Promise<void> {
    const { reserve, minFreeBytes } = this.#options;
    await this.#adopt();
    for (;;) {
      await this.#look();
      if (kill.aborted || this.#freeBytes - reserve.missingBytes >= minFreeBytes) break;
      this.#pause(this.#diskFullFault());
      await this.#wait(kill);
      // Who appends meanwhile sees for himself.
      if (this.paused !== "no_space") return;
    }
    if (this.paused === "no_space") this.#goOn();
  }

  #adopt(): Promise<void> {
    this.#adopted ??= this.#options.reserve.adopt();
    return this.#adopted;
  }

  /** Sinks are to ship what they have gathered, so that segments may go. */
  pressed(): boolean {
    const { segments, maxBytes, segmentBytes, dropOldest } = this.#options;
    return this.paused === "full" || (dropOldest && segments.heldBytes() + 2 * segmentBytes > maxBytes);
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
      if (fault.code === "spool_full" && (await this.#free(roll))) continue;
      this.#pause(fault);
      await this.#wait(kill);
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

  /** Room for `bytes` beside `min_free_bytes` and the reserve, which is taken back before anything else is written. */
  async #diskFull(bytes: number): Promise<Fault | undefined> {
    const { reserve, minFreeBytes } = this.#options;
    await this.#adopt();
    await this.#look();
    const missing = reserve.missingBytes;
    if (this.#freeBytes - bytes - missing >= minFreeBytes && (await this.#takeReserve())) {
      this.#freeBytes -= bytes + missing;
      return undefined;
    }
    // Others fill the disk: journals and checkpoints, which make room, get what was kept for them.
    if (this.#freeBytes < reserveBytes && missing < reserveBytes) await this.giveReserve();
    return this.#diskFullFault();
  }

  async #takeReserve(): Promise<boolean> {
    const { reserve, doors } = this.#options;
    const now = doors.clock.monotonic();
    if (!reserve.held && now < this.#retakeMs) return false;
    if (await reserve.take()) return true;
    // A quota: the file system says it has room, and only trying tells. Each try takes away for a moment what journals need.
    this.#retakeMs = now + retakeMs;
    return false;
  }

  async #look(): Promise<void> {
    const { doors, dir, minFreeBytes, reserve } = this.#options;
    const now = doors.clock.monotonic();
    if (this.paused === "" && reserve.held && now - this.#freeSeenMs < freeLookMs && this.#freeBytes >= minFreeBytes * 2) return;
    // A file system that cannot even say what is free fails the write that follows, and that is told.
    this.#freeBytes = await doors.disk.space(dir).then(
      ({ freeBytes }) => freeBytes,
      () => Infinity,
    );
    this.#freeSeenMs = now;
  }

  #diskFullFault(): Fault {
    const { dir, minFreeBytes } = this.#options;
    return new Fault({
      code: "spool_disk_full",
      retry: "later",
      message: `append to spool: ${mib(this.#freeBytes)} free on the file system of ${dir}, spool.min_free_bytes keeps ${mib(minFreeBytes)} and the reserve 8 MiB`,
      hint: "free space on that file system (or raise the quota), or lower spool.min_free_bytes; reading goes on by itself as soon as there is room",
    });
  }

  /** Makes room as far as the rules allow; true when there is more than before. */
  async #free(roll: () => Promise<void>): Promise<boolean> {
    const { segments, retain, dropOldest, doors } = this.#options;
    const before = segments.heldBytes();
    const newest = segments.newest();
    if (newest?.endedMs === undefined && newest !== undefined && newest.nextSequence <= retain.needed()) await roll();
    await retain.run(true);
    if (segments.heldBytes() < before) {
      this.#stuckMs = undefined;
      return true;
    }
    const now = doors.clock.monotonic();
    this.#stuckMs ??= now;
    if (now - this.#stuckMs < patienceMs) return false;
    return (await retain.drop("optional")) || (dropOldest && (await retain.drop("any")));
  }

  async #wait(kill: AbortSignal): Promise<void> {
    const { doors, segments } = this.#options;
    const over = new AbortController();
    await orAborted(Promise.race([doors.clock.sleep(lookMs, kill, over.signal), segments.changed.wait(over.signal)]), kill);
    over.abort(); // neither leaves a listener on `kill`, however long this lasts
  }

  #pause(fault: Fault): void {
    const reason = fault.code === "spool_full" ? "full" : "no_space";
    if (this.paused === reason) return;
    this.#clear();
    // A wait that is bounded needs nobody: what is lost at its end is told then.
    const bounded = reason === "full" && this.#options.dropOldest;
    if (!bounded) this.#options.board.raise("spool", "failing", fault);
    this.paused = reason;
  }

  #goOn(): void {
    if (this.paused === "") return;
    this.paused = "";
    this.#clear();
  }

  #clear(): void {
    for (const code of ["spool_full", "spool_disk_full"]) this.#options.board.clear("spool", code);
  }
}
