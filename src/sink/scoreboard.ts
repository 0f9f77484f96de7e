/** What a sink has done and what stands against it: the counters behind its status, and its lines on the board. */
import type { Board } from "../core/board.ts";
import type { Clock } from "../core/clock.ts";
import type { Refusals, SinkStatus } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import type { Plan } from "./ledger.ts";

export interface Position {
  readonly type: string;
  readonly ended: boolean;
  /** Every record below it has arrived. */
  readonly low: number;
  readonly lagRecords: number;
  readonly lagBytes: number;
  /** Oldest record time not arrived, Infinity when unknown or none. */
  readonly oldestMs: number;
}

/** As long as a spool that drops records says so after the last one. */
const refusedStandsMs = 5 * 60_000;

export class Scoreboard {
  readonly #component: string;
  readonly #board: Board;
  readonly #clock: Clock;
  /** Faults that stand, by who met them: `lane` and its name, `journal`, `plan`. */
  readonly #standing = new Map<string, Fault>();
  #records = 0;
  #bytes = 0;
  #batches = 0;
  #retries = 0;
  #dropped = 0;
  /** By reason. */
  readonly #refused: Record<string, number> = {};
  #refusedMs: number | undefined;
  #lastSuccess: string | undefined;
  #lastFault: SinkStatus["last_fault"];

  constructor(name: string, board: Board, clock: Clock) {
    this.#component = `sinks.${name}`;
    this.#board = board;
    this.#clock = clock;
  }

  /** A batch was refused or could not be sent; it is held and tried again. */
  failed(lane: string, fault: Fault): void {
    this.#retries++;
    this.stand(`lane ${lane}`, fault);
  }

  /** `refused`: what of it the far side refused for good. */
  delivered(plan: Plan, refused?: Refusals): void {
    this.#records += plan.records - (refused === undefined ? 0 : this.#recordsRefused(refused));
    this.#bytes += plan.bytes;
    this.#batches++;
    this.#lastSuccess = this.#now();
    this.stand(`lane ${plan.lane}`, undefined);
  }

  /** What stands against `who` from now on; undefined: nothing. A code is cleared when it stands against nobody any more. */
  stand(who: string, fault: Fault | undefined): void {
    const before = this.#standing.get(who);
    this.#standing.delete(who);
    if (fault !== undefined) {
      this.#standing.set(who, fault);
      this.#remember(fault);
      this.#board.raise(this.#component, fault.retry === "later" && who !== "journal" ? "degraded" : "failing", fault);
    }
    if (before === undefined || before.code === fault?.code) return;
    if (![...this.#standing.values()].some((other) => other.code === before.code)) this.#board.clear(this.#component, before.code);
  }

  /** Something that is over as soon as it happened. */
  count(code: string, message: string, hint: string, times = 1): void {
    const fault = new Fault({ code, retry: "later", message, hint });
    this.#remember(fault);
    this.#board.count(this.#component, fault, times);
  }

  recordsLost(records: number): void {
    this.count(
      "spool_records_lost",
      `${records} records were gone from the spool before this sink had them`,
      "see the spool's own faults, and spool verify, for what took them",
      records,
    );
  }

  /** Given up by the spool for room: told once for each run of them, counted by the record. */
  recordsDropped(records: number): void {
    this.#dropped += records;
    this.count(
      "spool_records_dropped",
      `${records} records were given up by the full spool before this sink had them`,
      "mend the sink, or give the spool more room (spool.max_bytes, hold_bytes): what is gone does not come again",
      records,
    );
  }

  /** Degrades health for a while, told by the batch, counted by the record. Returns how many. */
  #recordsRefused({ reasons, example }: Refusals): number {
    const found = Object.entries(reasons);
    for (const [reason, count] of found) this.#refused[reason] = (this.#refused[reason] ?? 0) + count;
    const records = found.reduce((sum, [, count]) => sum + count, 0);
    const fault = new Fault({
      code: "sink_records_refused",
      retry: "never",
      message: `${records} records were refused for good and are given up (${found.map(([reason, count]) => `${count} ${reason}`).join(", ")}); ${example}`,
      hint: "what is given up does not come again: the operating guide says of each reason what to do",
    });
    this.#remember(fault);
    this.#board.raise(this.#component, "degraded", fault);
    if (records > 1) this.#board.count(this.#component, fault, records - 1);
    this.#refusedMs = this.#clock.monotonic();
    return records;
  }

  /** What was refused once does not degrade health for ever. */
  #forgetRefused(): void {
    if (this.#refusedMs === undefined || this.#clock.monotonic() - this.#refusedMs < refusedStandsMs) return;
    this.#refusedMs = undefined;
    this.#board.clear(this.#component, "sink_records_refused");
  }

  journalDamaged(path: string, lines: number): void {
    this.count(
      "journal_damaged",
      `read journal ${path}: ${lines} damaged lines`,
      "look at the disk; the damaged file is kept beside it, and a batch may arrive twice",
      lines,
    );
  }

  /** The journal knows sequences up to `known`, the spool ends at `next`. */
  journalAhead(known: number, next: number): void {
    this.count(
      "journal_ahead_of_spool",
      `the journal knows records up to ${known - 1}, the spool ends before ${next}`,
      "the spool has lost its newest records or was put back to an older state; new records get new names",
    );
  }

  encodedAnew(plan: Plan): void {
    this.count(
      "batch_encoded_anew",
      `batch ${plan.name} was planned with other bytes`,
      "the same records, compressed by another version: nothing to do",
    );
  }

  forked(plan: Plan, spoolId: string): void {
    this.count(
      "spool_forked",
      `deliver ${plan.name}: the far side holds something else under this name`,
      `another copy of the spool ${spoolId} is or was in use; both go on under names of their own`,
    );
  }

  /** Objects under our names with lines that are no records of ours. */
  foreignFound(where: string, lines: number, spoolId: string): void {
    this.count(
      "spool_forked",
      `${lines} lines at the far side are of another history of this spool, the first of them in ${where}`,
      `another copy of the spool ${spoolId} is or was in use; nothing of it counts as delivered here, both go on under names of their own`,
    );
  }

  /** Counted by the record. */
  unsure(records: number): void {
    this.count(
      "delivery_unsure",
      `${records} records are shipped though they may have arrived: the journal is lost and the far side cannot tell`,
      "look for repeated records at the far side; find out what took the journal",
      records,
    );
  }

  #remember(fault: Fault): void {
    this.#lastFault = { code: fault.code, message: fault.message, hint: fault.hint ?? "", time: this.#now() };
  }

  #now(): string {
    return new Date(this.#clock.now()).toISOString();
  }

  #refusedStatus(): Pick<SinkStatus, "refused_records" | "refused_reasons"> {
    const counts = Object.values(this.#refused);
    return counts.length === 0 ? {} : { refused_records: counts.reduce((sum, count) => sum + count, 0), refused_reasons: { ...this.#refused } };
  }

  status(position: Position): SinkStatus {
    this.#forgetRefused();
    const standing = [...this.#standing.values()];
    const denied = standing.some((fault) => fault.retry !== "later");
    const oldest = position.oldestMs === Infinity ? undefined : new Date(position.oldestMs).toISOString();
    return {
      type: position.type,
      state: position.ended ? "stopped" : denied ? "denied" : standing.length > 0 ? "retrying" : "running",
      delivered_sequence: position.low - 1,
      records: this.#records,
      bytes: this.#bytes,
      lag_records: position.lagRecords,
      lag_bytes: position.lagBytes,
      ...(oldest === undefined ? {} : { oldest_undelivered_time: oldest }),
      batches: this.#batches,
      retries: this.#retries,
      dead: 0,
      dropped_records: this.#dropped,
      ...this.#refusedStatus(),
      ...(this.#lastSuccess === undefined ? {} : { last_success_time: this.#lastSuccess }),
      ...(this.#lastFault === undefined ? {} : { last_fault: this.#lastFault }),
    };
  }
}
