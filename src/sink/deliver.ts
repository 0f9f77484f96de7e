/**
 * The one delivery loop: plans batches, hands them to the sink lane by lane, and writes down what has arrived.
 *
 *     planner ──plan, journaled──▶ lanes ──put()──▶ delivered, journaled ──▶ claim: segments may go
 *
 * Promises:
 * - A batch is planned durably before its first byte is sent; a retry or a restart sends the same name and the same bytes.
 * - One batch of a lane is in flight at a time; up to `concurrency` lanes go side by side. After a restart what was planned
 *   goes first, in the same order.
 * - Nothing is skipped: a batch is tried for as long as it takes. `later` backs off, `denied` and `poison` fail the health
 *   at once and come again every `retry.max`.
 * - The claim on the spool never passes a record that has not arrived, nor one whose arrival is not durable in the journal.
 * - `kill` ends everything at once; what was cut is sent again under the same name.
 */
import { assert, Bug } from "../core/assert.ts";
import type { Delivery, Receipt, Sink, SinkContext, SinkKind, SinkStatus, SpoolReader } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import type { Meter } from "../core/meter.ts";
import { backoffMs } from "../core/retry.ts";
import { orAborted, type Signals } from "../core/signals.ts";
import { hasArrived } from "./arrived.ts";
import { batchOf, type SentBatch } from "./batch.ts";
import { Journal } from "./journal.ts";
import { Lanes } from "./lanes.ts";
import type { Entry, Plan } from "./ledger.ts";
import { batchName } from "./name.ts";
import { Planner } from "./plan.ts";
import type { Measured } from "./seal.ts";
import { Receipts } from "./receipts.ts";
import { remake } from "./remake.ts";
import { Scoreboard } from "./scoreboard.ts";

export interface SinkOptions<Config = unknown> {
  readonly name: string;
  readonly kind: SinkKind<Config>;
  readonly config: Config;
  readonly reader: SpoolReader;
  readonly journalPath: string;
  readonly context: SinkContext;
  readonly meter: Meter;
}

export interface SinkRunner extends AsyncDisposable {
  /** Delivers until `stop`, then the rest of what the spool holds, and returns when all has arrived; at `kill` at once. */
  run(signals: Signals): Promise<void>;
  /** Plans and ships what is there now. */
  flush(): void;
  status(): SinkStatus;
}

/** What is passed without a delivery (other sinks' records, lost ones) is written down this often: one sync each. */
const passedMs = 5000;

/**
 * Opens the journal and the sink; what it has not delivered is claimed once the journal is on the medium for sure. Rejects with a Fault: `journal_unreadable`,
 * `journal_damaged`, `journal_format_unknown`, `journal_no_space`, `journal_write_failed` (only for a sink that is new), or what `kind.open` says.
 */
export async function openSink<Config>(options: SinkOptions<Config>): Promise<SinkRunner> {
  const { name, kind, config, reader, journalPath, context } = options;
  const delivery = kind.delivery(config);
  const scores = new Scoreboard(name, context.board, context.doors.clock);
  const journal = await Journal.open({
    path: journalPath,
    sink: name,
    spoolId: reader.id,
    doors: context.doors,
    onFault: (fault) => scores.stand("journal", fault),
    makeRoom: async () => reader.makeRoom?.(),
  });
  try {
    if (journal.damaged > 0) scores.journalDamaged(journalPath, journal.damaged);
    if (journal.isNew) {
      await journal.create(delivery.start === "now" ? reader.nextSequence() : reader.firstSequence());
      reader.claim(name, journal.ledger.low);
    }
    // Of an earlier process's journal nobody knows what of it is on the medium: `run` writes it anew, and claims then.
    return new Runner(options, delivery, journal, await kind.open(config, { ...context, state: journal.ledger.state }), scores);
  } catch (cause) {
    await journal.close();
    throw cause;
  }
}

class Runner<Config> implements SinkRunner {
  readonly #options: SinkOptions<Config>;
  readonly #delivery: Delivery;
  readonly #journal: Journal;
  readonly #receipts: Receipts;
  readonly #sink: Sink;
  readonly #scores: Scoreboard;
  readonly #lanes: Lanes;
  #planner: Planner | undefined;
  #epoch = "";
  #nextId = 0;
  #numbering = Promise.resolve();
  #passedMs = -Infinity;
  /** A bug met in a lane: its reason ends the run. */
  readonly #broken = new AbortController();
  /** Bodies of plans, by id, where they were kept since they were planned: small ones, and those split out of mixed frames. */
  readonly #kept = new Map<number, readonly Uint8Array[]>();
  readonly #tasks = new Set<Promise<void>>();
  #ended = false;

  constructor(options: SinkOptions<Config>, delivery: Delivery, journal: Journal, sink: Sink, scores: Scoreboard) {
    this.#options = options;
    this.#delivery = delivery;
    this.#journal = journal;
    this.#receipts = new Receipts(journal, options.context.doors.clock);
    this.#sink = sink;
    this.#scores = scores;
    this.#lanes = new Lanes(delivery.concurrency, delivery.partition !== undefined);
  }

  async run(outer: Signals): Promise<void> {
    const signals: Signals = { stop: outer.stop, kill: AbortSignal.any([outer.kill, this.#broken.signal]) };
    const { kill } = signals;
    // A journal that waits for space must not hold up the end.
    const cut = (): void => void this.#journal.close();
    kill.addEventListener("abort", cut, { once: true });
    if (kill.aborted) cut();
    try {
      await this.#begin(signals);
      await this.#planner?.run(signals);
      while (!kill.aborted && this.#lanes.size > 0) await this.#lanes.changed.wait(kill);
      await Promise.all(this.#tasks);
      if (!kill.aborted) await this.#passed(true);
    } catch (cause) {
      if (!kill.aborted) throw cause;
    } finally {
      kill.removeEventListener("abort", cut);
      this.#ended = true;
    }
    if (this.#broken.signal.aborted) throw this.#broken.signal.reason;
  }

  /** Sets the epoch, puts what was planned before into its lanes, and makes the planner for the rest. */
  async #begin(signals: Signals): Promise<void> {
    const { reader, context } = this.#options;
    const { ledger, copiedFrom } = this.#journal;
    // The spool's epoch is new at every open of the spool; of the sink, opened again beside it (a reload), it is not.
    this.#epoch = ledger.opened?.spoolEpoch === reader.epoch ? this.#freshEpoch() : reader.epoch;
    const entries: Entry[] = [{ kind: "opened", spool_epoch: reader.epoch, epoch: this.#epoch }];
    // Names hold the spool's id: what the original planned is the original's to send.
    if (copiedFrom !== undefined) for (const id of ledger.plans.keys()) entries.push({ kind: "cancelled", id });
    if (ledger.end() > reader.nextSequence()) {
      this.#scores.journalAhead(ledger.end(), reader.nextSequence());
      entries.push({ kind: "rewound", next: reader.nextSequence() });
    }
    await this.#receipts.append(...entries);
    this.#claim();
    this.#nextId = ledger.nextId;
    for (const plan of ledger.plans.values()) this.#lanes.add(plan);
    this.#planner = new Planner({
      delivery: this.#delivery,
      reader,
      doors: context.doors,
      cursor: ledger.low,
      covered: ledger.covered(),
      framesMax: () => this.#sink.framesMax?.(),
      lane: (partition, cut) => this.#when(() => this.#lanes.free(partition), cut),
      room: async (cut) => (await this.#when(() => this.#lanes.room() || undefined, cut)) ?? 0,
      planned: (measured) => this.#plan(measured, signals),
      lost: (records, dropped) => (dropped ? this.#scores.recordsDropped(records) : this.#scores.recordsLost(records)),
      onFault: (fault) => this.#scores.stand("plan", fault),
      passed: (force) => this.#passed(force),
    });
    this.#dispatch(signals);
  }

  #freshEpoch(): string {
    return Buffer.from(this.#options.context.doors.random.bytes(4)).toString("hex");
  }

  /** What `ask` gives as soon as it gives something, asked again whenever lanes change; undefined at `kill`. */
  async #when<T>(ask: () => T | undefined, { kill }: Signals): Promise<T | undefined> {
    while (!kill.aborted) {
      const answer = ask();
      if (answer !== undefined) return answer;
      await this.#lanes.changed.wait(kill);
    }
    return undefined;
  }

  /** Numbers are given and journaled by one at a time: a lane that forks must not meet a plan of its old epoch on the way. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#numbering.then(work);
    const over = (): void => {};
    this.#numbering = done.then(over, over);
    return done;
  }

  /** Makes plans durable and gives them to their lanes. */
  async #plan(measured: readonly Measured[], signals: Signals): Promise<void> {
    if (measured.length === 0) return;
    await this.#alone(async () => {
      const plans = measured.map(({ parts, ...each }): Plan => {
        const { minMs, ...body } = each;
        const place = this.#lanes.nextNumber(each.lane, this.#epoch, () => this.#freshEpoch());
        const plan: Plan = { id: this.#nextId++, ...place, name: this.#nameOf(each, place.epoch), ...body, min_ms: minMs };
        if (parts !== undefined) this.#kept.set(plan.id, parts);
        return plan;
      });
      await this.#receipts.append(...plans.map((plan): Entry => ({ kind: "planned", ...plan })));
      for (const plan of plans) this.#lanes.add(plan);
    });
    this.#dispatch(signals);
  }

  #nameOf(batch: Pick<Plan, "ranges" | "codec">, epoch: string): string {
    return batchName(this.#options.context.host, this.#options.reader.id, epoch, batch);
  }

  /** Starts lanes while there is one that waits and a place for it. */
  #dispatch(signals: Signals): void {
    for (let plan = this.#lanes.start(); plan !== undefined; plan = this.#lanes.start()) {
      const { lane } = plan;
      const task = this.#deliver(plan, signals)
        .catch((cause: unknown) => {
          // Cut short, or a bug: `run` throws what is not expected.
          if (!signals.kill.aborted) this.#broken.abort(cause);
        })
        .finally(() => {
          this.#tasks.delete(task);
          this.#lanes.finish(lane);
          if (!signals.kill.aborted) this.#dispatch(signals);
        });
      this.#tasks.add(task);
    }
  }

  /** One batch, until it has arrived. */
  async #deliver(first: Plan, signals: Signals): Promise<void> {
    const { doors } = this.#options.context;
    let plan = first;
    for (let attempt = 0; ; attempt++) {
      const batch = this.#batchOf(plan);
      const outcome = await this.#put(batch, signals);
      if (signals.kill.aborted && !(typeof outcome === "object" && "outcome" in outcome)) return;
      if (outcome instanceof Fault) {
        const arrived = batch.trouble === undefined ? undefined : await hasArrived(this.#sink, batch, signals.kill);
        if (arrived === true) return this.#delivered(plan, signals);
        const replaced = batch.trouble === undefined || arrived instanceof Fault ? undefined : await this.#replan(plan, batch.trouble);
        if (replaced === "gone") return;
        plan = replaced ?? plan;
        // At once, but only once: a body that never comes out the same is a bug, and no reason to spin.
        if (replaced !== undefined && attempt === 0) continue;
        const fault = arrived instanceof Fault ? arrived : outcome;
        this.#scores.failed(plan.lane, fault);
        const { retryMsMin, retryMsMax } = this.#delivery;
        const backoff = Math.max(
          backoffMs(attempt, retryMsMin, retryMsMax, () => doors.random.next()),
          Math.min(fault.waitMs ?? 0, retryMsMax),
        );
        // The stop cuts a wait that began before it: the last chance before the deadline is worth a try.
        await doors.clock.sleep(fault.retry === "later" ? backoff : retryMsMax, ...(signals.stop.aborted ? [] : [signals.stop]), signals.kill);
      } else if (outcome.outcome === "forked") {
        plan = await this.#alone(() => this.#fork(plan));
        attempt = -1;
      } else {
        await this.#delivered(plan, signals, outcome);
        return;
      }
      if (signals.kill.aborted) return;
    }
  }

  /** The sink's answer, any error of it as a Fault. At `kill` it is not waited for. */
  async #put(batch: SentBatch, signals: Signals): Promise<Receipt | Fault> {
    const { doors } = this.#options.context;
    const beganMs = doors.clock.monotonic();
    try {
      const receipt = await orAborted(this.#sink.put(batch, signals), signals.kill);
      return receipt ?? new Fault({ code: "delivery_cut", retry: "later", message: `deliver ${batch.name}: cut short` });
    } catch (cause) {
      if (cause instanceof Bug) throw cause;
      if (cause instanceof Fault) return cause;
      return new Fault({
        code: "sink_failed",
        retry: "later",
        message: `deliver ${batch.name}`,
        hint: "an error the sink did not expect; it is tried again",
        cause,
      });
    } finally {
      this.#options.meter.delivery(this.#options.name, (doors.clock.monotonic() - beganMs) / 1000);
    }
  }

  #batchOf(plan: Plan): SentBatch {
    const { reader, context } = this.#options;
    const batch = batchOf(plan, reader, context.doors.compress, this.#journal, this.#kept.get(plan.id));
    // It goes with its first use; a second try reads the spool.
    if (plan.encoder === "copy/1") this.#kept.delete(plan.id);
    return Object.assign(batch, { low: this.#low() });
  }

  async #delivered(plan: Plan, signals: Signals, receipt?: Receipt): Promise<void> {
    this.#lanes.remove(plan);
    this.#kept.delete(plan.id);
    // The lane waits until this is written down; another one may send, so that what arrives meanwhile shares the next sync.
    this.#lanes.landed(plan.lane);
    if (!signals.kill.aborted) this.#dispatch(signals);
    // In the order of the file: whatever `low` takes for delivered stands before this entry.
    const patient = this.#lanes.size > this.#delivery.concurrency;
    const { id, ranges } = plan;
    await this.#receipts.arrived({ kind: "delivered", id, low: this.#low(), ranges, state: receipt?.state }, patient, signals.kill);
    this.#scores.delivered(plan, receipt?.refused);
    this.#claim();
  }

  /** The far side holds something else under this name: the lane goes on in an epoch of its own, from number 0. */
  async #fork(plan: Plan): Promise<Plan> {
    this.#scores.forked(plan, this.#options.reader.id);
    const epoch = this.#freshEpoch();
    const entries: Entry[] = [];
    const anew: Plan[] = [];
    this.#kept.clear(); // the same bytes under new ids: made anew where they are wanted
    // What waits behind it was numbered in the old epoch, which a receiver that counts would refuse from now on.
    for (const old of this.#lanes.queue(plan.lane)) {
      const fresh: Plan = { ...old, id: this.#nextId++, epoch, number: anew.length, name: this.#nameOf(old, epoch) };
      entries.push({ kind: "cancelled", id: old.id }, { kind: "planned", ...fresh });
      anew.push(fresh);
    }
    this.#lanes.replace(plan.lane, anew, epoch);
    await this.#receipts.append(...entries);
    const [head] = anew;
    assert(head !== undefined, "the batch in flight is the first of its lane");
    return head;
  }

  /**
   * The body cannot be made as planned: plans it anew under the same id and number, without what is gone. `gone` when nothing
   * is left of it; undefined when it cannot be told now.
   */
  async #replan(plan: Plan, trouble: Error): Promise<Plan | "gone" | undefined> {
    const { reader, context } = this.#options;
    this.#kept.delete(plan.id);
    const made = await remake(plan, trouble, reader, context.doors.compress);
    if (made === undefined) return undefined;
    if (made.lost > 0) this.#scores.recordsLost(made.lost);
    if (made.dropped > 0) this.#scores.recordsDropped(made.dropped);
    if (made.lost + made.dropped === 0) this.#scores.encodedAnew(plan);
    if (made.body === undefined) {
      this.#lanes.remove(plan);
      await this.#receipts.append({ kind: "cancelled", id: plan.id }, { kind: "passed", low: this.#low() });
      this.#claim();
      return "gone";
    }
    const anew: Plan = { ...plan, ...made.body };
    const named: Plan = { ...anew, name: this.#nameOf(anew, plan.epoch) };
    await this.#receipts.append({ kind: "planned", ...named });
    this.#lanes.update(named);
    return named;
  }

  /** Every record below it has arrived, is lost or is not for this sink. */
  #low(): number {
    return Math.min(this.#planner?.low() ?? this.#journal.ledger.low, this.#lanes.low());
  }

  /** Writes down what was passed without a delivery, now and then or when `force`d; ms until it wants to. */
  async #passed(force: boolean): Promise<number | undefined> {
    const low = this.#low();
    if (low <= this.#journal.ledger.low) return undefined;
    const nowMs = this.#options.context.doors.clock.monotonic();
    const waitMs = this.#passedMs + passedMs - nowMs;
    if (!force && waitMs > 0) return waitMs;
    this.#passedMs = nowMs;
    await this.#receipts.append({ kind: "passed", low });
    this.#claim();
    return undefined;
  }

  #claim(): void {
    this.#options.reader.claim(this.#options.name, this.#journal.ledger.low);
  }

  flush(): void {
    this.#planner?.flush();
  }

  status(): SinkStatus {
    const { reader, kind } = this.#options;
    const low = this.#low();
    const planner = this.#planner;
    return this.#scores.status({
      type: kind.type,
      ended: this.#ended,
      low,
      lagRecords: (planner?.lagRecords() ?? Math.max(0, reader.nextSequence() - low)) + this.#lanes.records(),
      lagBytes: low >= reader.nextSequence() ? 0 : reader.bytesFrom(low),
      oldestMs: Math.min(planner?.oldestMs() ?? Infinity, this.#lanes.oldestMs()),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#journal.close();
    await this.#sink[Symbol.asyncDispose]();
  }
}
