/**
 * The lanes of a sink: the batches that are planned and have not arrived, in the order of planning, one in flight for each.
 *
 * A sink with partitions has a lane for each that has something planned; one without has the lanes "0" to "n-1", and a
 * batch goes to one that is free.
 */
import type { Plan } from "./ledger.ts";
import { Changed } from "../core/signals.ts";

/** Lanes whose last number is kept: a year of hours. Beyond it the oldest is forgotten and would begin an epoch of its own. */
const numberedMax = 10_000;

/**
 * Batches with kept bodies that may be planned and not have arrived: they are small and many, and 16 plans that share a sync cost as
 * much as one. After a restart each is made alone from all frames of its time: a second or two for so many.
 */
const keptMax = 32;
const keptRefill = 16;

export class Lanes {
  /** Whenever a batch was added, removed or let go. */
  readonly changed = new Changed();
  readonly #concurrency: number;
  readonly #partitioned: boolean;
  readonly #queues = new Map<string, Plan[]>();
  readonly #running = new Set<string>();
  /** Of the running ones, those that have delivered what they had and only write it down. */
  readonly #landed = new Set<string>();
  /** Epoch and next number of each lane that planned something since the start. */
  readonly #numbers = new Map<string, { epoch: string; next: number }>();
  #forgotten = false;
  #size = 0;

  constructor(concurrency: number, partitioned: boolean) {
    this.#concurrency = concurrency;
    this.#partitioned = partitioned;
  }

  /** Batches planned and not arrived. */
  get size(): number {
    return this.#size;
  }

  /** The lane a new batch may go to; undefined while enough of them wait. */
  free(partition: string): string | undefined {
    // Twice as many as can be in flight: the next one is measured and journaled while its lane is busy.
    if (this.#partitioned) return this.#size < this.#concurrency * 2 ? partition : undefined;
    for (let lane = 0; lane < this.#concurrency; lane++) if (!this.#queues.has(String(lane))) return String(lane);
    return undefined;
  }

  /** How many more batches with kept bodies may be planned now: 0, or many enough to share a sync. */
  room(): number {
    const room = Math.max(keptMax, this.#concurrency * 2) - this.#size;
    return room >= keptRefill ? room : 0;
  }

  /** Epoch and number of the lane's next batch; `epoch` is the one lanes begin in. */
  nextNumber(lane: string, epoch: string, freshEpoch: () => string): { epoch: string; number: number } {
    const known = this.#numbers.get(lane) ?? { epoch: this.#forgotten ? freshEpoch() : epoch, next: 0 };
    this.#numbers.delete(lane); // the order of the map is that of use
    this.#numbers.set(lane, { ...known, next: known.next + 1 });
    if (this.#numbers.size > numberedMax) {
      for (const oldest of this.#numbers.keys()) {
        this.#numbers.delete(oldest);
        this.#forgotten = true;
        break;
      }
    }
    return { epoch: known.epoch, number: known.next };
  }

  add(plan: Plan): void {
    const queue = this.#queues.get(plan.lane);
    if (queue === undefined) this.#queues.set(plan.lane, [plan]);
    else queue.push(plan);
    this.#size++;
    this.changed.notify();
  }

  /** Takes out the first batch of its lane, which has arrived or is gone. */
  remove(plan: Plan): void {
    const queue = this.#queues.get(plan.lane);
    queue?.shift();
    if (queue?.length === 0) this.#queues.delete(plan.lane);
    this.#size--;
    this.changed.notify();
  }

  /** The batches of a lane, the one in flight first. */
  queue(lane: string): readonly Plan[] {
    return this.#queues.get(lane) ?? [];
  }

  /** The same batches, planned anew in `epoch`. */
  replace(lane: string, plans: Plan[], epoch: string): void {
    this.#queues.set(lane, plans);
    this.#numbers.set(lane, { epoch, next: plans.length });
  }

  /** The first batch of its lane, changed. */
  update(plan: Plan): void {
    const queue = this.#queues.get(plan.lane);
    if (queue !== undefined) queue[0] = plan;
  }

  /** The batch to send next, its lane marked as running; undefined when no lane waits or enough are running. */
  start(): Plan | undefined {
    if (this.#running.size - this.#landed.size >= this.#concurrency) return undefined;
    let next: Plan | undefined;
    for (const [lane, [head]] of this.#queues) {
      if (head !== undefined && !this.#running.has(lane) && head.id < (next?.id ?? Infinity)) next = head;
    }
    if (next !== undefined) this.#running.add(next.lane);
    return next;
  }

  /** What the lane had in flight has arrived, which is yet to be written down: another lane may send meanwhile. */
  landed(lane: string): void {
    this.#landed.add(lane);
  }

  /** The lane's turn is over. */
  finish(lane: string): void {
    this.#running.delete(lane);
    this.#landed.delete(lane);
    this.changed.notify();
  }

  *#plans(): Iterable<Plan> {
    for (const queue of this.#queues.values()) yield* queue;
  }

  /** The oldest sequence that has not arrived; Infinity when all have. */
  low(): number {
    let low = Infinity;
    for (const plan of this.#plans()) low = Math.min(low, plan.ranges[0]?.[0] ?? low);
    return low;
  }

  records(): number {
    let records = 0;
    for (const plan of this.#plans()) records += plan.records;
    return records;
  }

  /** Oldest record time of them; Infinity when there is none. */
  oldestMs(): number {
    let oldest = Infinity;
    for (const plan of this.#plans()) oldest = Math.min(oldest, plan.min_ms);
    return oldest;
  }
}
