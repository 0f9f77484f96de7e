/**
 * From entries to durable records: drops what was seen, emits the rest with its keys, knows what is in flight and what became
 * durable. One that was rejected breaks the flow: nothing is emitted through it any more, and a new one begins from what is durable.
 */
import type { Emit, Json, PositionDelta, SourceContext } from "../../core/contract.ts";
import { toError } from "../../core/fault.ts";
import { collect, giveBack } from "../../core/lend.ts";
import { Changed, orAborted } from "../../core/signals.ts";
import type { Decoder, Entry } from "./entry.ts";
import { Seen } from "./seen.ts";

/** Bytes of records in flight from which sweeps read nothing more: two pages. */
const inFlightBytesMax = 4 * 1024 * 1024;
/**
 * From which a tail is given up, since it cannot be slowed: at 20,000 entries a second, 9 MB of records, a disk may take two and a
 * half seconds for a sync. What comes after is read from query_range, at a multiple of the cost.
 */
const tailBytesMax = 24 * 1024 * 1024;
/** Frames of a tail are small, but 200 a second: their records are given back too, if they have memory of their own. */
const ownBytesMin = 8192;
/** Records after which garbage is collected: about five times as much of it. */
const collectBytes = 6 * 1024 * 1024;

export class Flow {
  /** Aborted when it is broken. */
  readonly cut = new AbortController();
  /** Why it broke. */
  broken: Error | undefined;
  /** What is durable, by key: where the next flow begins. */
  readonly durable: Map<string, Json>;
  readonly seen: Seen;
  #floor = 0n;
  /** The floor, as an entry has its time: no big integer for each. */
  #floorSeconds = 0;
  #floorNanos = 0;
  /** Told of what is emitted; what it returns is committed with it. */
  noted: (entries: readonly Entry[]) => PositionDelta = () => ({});
  readonly #context: SourceContext;
  readonly #decoder: Decoder;
  readonly #emit: Emit;
  readonly #flying = new Set<Promise<void>>();
  readonly #changed = new Changed();
  #inFlightBytes = 0;
  #sinceCollected = 0;
  #moving = false;

  constructor(context: SourceContext, decoder: Decoder, emit: Emit, seen: Seen, durable: Map<string, Json>) {
    this.#context = context;
    this.#decoder = decoder;
    this.#emit = emit;
    this.seen = seen;
    this.durable = durable;
  }

  /** More waits to become durable than memory should hold, with `more` bytes that are about to come. */
  flooded(more: number): boolean {
    return this.#inFlightBytes + more > tailBytesMax;
  }

  /** Emits those of `entries` that are new, in their order. Returns how many. */
  take(entries: readonly Entry[]): Promise<number> {
    return this.seen.ensure(entries, () => {
      if (this.broken !== undefined) return 0;
      const fresh = entries.filter((entry) => this.#wanted(entry) && this.seen.add(entry));
      if (fresh.length === 0) return 0;
      const { number, position } = this.seen.piece(fresh);
      void this.#send(this.#decoder.records(fresh), { ...position, ...this.noted(fresh) }, number);
      return fresh.length;
    });
  }

  /** Makes a position durable, after all that was emitted before is. False when it is not going to be. */
  async commit(position: () => PositionDelta): Promise<boolean> {
    await Promise.all(this.#flying);
    if (this.broken !== undefined) return false;
    await this.#send(new Uint8Array(0), position());
    return this.broken === undefined;
  }

  /** Moves keys into files when there are many. */
  async move(): Promise<void> {
    if (this.#moving || this.broken !== undefined) return;
    this.#moving = true;
    try {
      const position = await this.seen.move();
      if (position !== undefined) await this.commit(() => position);
    } finally {
      this.#moving = false;
    }
  }

  /** Waits until sweeps may read on. */
  async room(...signals: AbortSignal[]): Promise<void> {
    while (this.#inFlightBytes > inFlightBytesMax && this.broken === undefined && !signals.some((signal) => signal.aborted))
      await this.#changed.wait(...signals);
  }

  /** Resolves when nothing is in flight, or with `kill`. */
  async settled(kill: AbortSignal): Promise<void> {
    while (this.#flying.size > 0 && !kill.aborted) await orAborted(Promise.all(this.#flying), kill);
  }

  /** Breaks it. */
  fail(cause: unknown): void {
    this.broken ??= toError(cause);
    this.cut.abort();
    this.#changed.notify();
  }

  /** Entries before it are not wanted, nanoseconds. */
  get floor(): bigint {
    return this.#floor;
  }

  set floor(ns: bigint) {
    this.#floor = ns;
    this.#floorSeconds = Number(ns / 1_000_000_000n);
    this.#floorNanos = Number(ns % 1_000_000_000n);
  }

  #wanted({ seconds, nanos }: Entry): boolean {
    return seconds > this.#floorSeconds || (seconds === this.#floorSeconds && nanos >= this.#floorNanos);
  }

  #send(bytes: Uint8Array, position: PositionDelta, settled?: number): Promise<void> {
    const length = bytes.byteLength;
    this.#inFlightBytes += length;
    this.#sinceCollected += length;
    if (this.#sinceCollected > collectBytes) {
      this.#sinceCollected = 0;
      collect();
    }
    const flying = this.#emit({ bytes, form: "ndjson", readMs: this.#context.doors.clock.now(), position })
      .then(
        () => {
          apply(this.durable, position);
          if (settled !== undefined) this.seen.settled(settled);
        },
        (cause: unknown) => this.fail(cause),
      )
      .finally(() => {
        this.#inFlightBytes -= length;
        giveBack(bytes, ownBytesMin);
        this.#flying.delete(flying);
        this.#changed.notify();
      });
    this.#flying.add(flying);
    return flying;
  }
}

function apply(durable: Map<string, Json>, position: PositionDelta): void {
  for (const [key, value] of Object.entries(position)) {
    if (value === null) durable.delete(key);
    else durable.set(key, value);
  }
}
