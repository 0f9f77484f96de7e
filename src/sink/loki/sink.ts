/**
 * Sink `loki`: batches as pushes to `/loki/api/v1/push`.
 *
 * Promises:
 * - The body of a batch is read to its end before its first byte is sent. Equal records give equal pushes, so that a retry, also after a
 *   restart, is the same labels, times, lines and metadata, which Loki stores once (within a chunk, and on every read).
 * - Batches go one after the other, and of one batch the pushes of one stream: the order of a stream is kept. Pushes of different
 *   streams go side by side, up to `concurrency`.
 * - Only 204 is a delivery. A 400 about single entries (fault.ts) is taken apart until each of those is alone, since the others of that push
 *   are stored, and nobody else can tell which. They are declared loss, told in the receipt; too many of them (tolerance.ts) and the sink
 *   holds the batch instead, unless `when_refused: drop`.
 * - What was stored of a batch is not pushed again by the same process; by the next one only within the half hour that Loki takes it.
 */
import { assert } from "../../core/assert.ts";
import type { Batch, Json, Receipt, Sink, SinkContext, SinkKind } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { giveBack } from "../../core/lend.ts";
import { frameBytes } from "../../core/limits.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { deliveryOf } from "../schema.ts";
import { Tolerance } from "../tolerance.ts";
import { check } from "./check.ts";
import { Client } from "./client.ts";
import { schema, type Config } from "./config.ts";
import { areAllTooOld, reasonsIn, refused, wordsOf } from "./fault.ts";
import { inOrder } from "./order.ts";
import { type Entry, Records } from "./record.ts";
import { Streams } from "./stream.ts";
import { readNote, type Shard, Work } from "./work.ts";

export const loki: SinkKind<Config> = {
  type: "loki",
  schema,
  // One lane: batches of a stream must not overtake each other. Frames come as they lie in the spool.
  delivery: (config) => ({ ...deliveryOf({ ...config, codec: "zstd" }), concurrency: 1 }),
  open: async (config, context) => new LokiSink(config, context, await Client.open(config, context.doors)),
  check,
};

const LF = 10;
/** Too many records are refused for good. */
const code = "sink_refuses_all";
const framesLimit = 64;

class LokiSink implements Sink {
  readonly #config: Config;
  readonly #context: SinkContext;
  readonly #client: Client;
  readonly #records: Records;
  /** Where the next batch goes on (order.ts). */
  #state: Json | undefined;
  readonly #tolerance = new Tolerance();
  /** Of the batch that was tried last, once some of it was stored. */
  #begun: { readonly digest: string; readonly work: Work } | undefined;

  constructor(config: Config, context: SinkContext, client: Client) {
    this.#config = config;
    this.#context = context;
    this.#state = context.state;
    this.#client = client;
    this.#records = new Records(config, new Streams(config));
  }

  /** A frame is about 1 MiB of NDJSON: so many make a push for each that may be in flight. */
  framesMax(): number {
    const { concurrency, batch } = this.#config;
    return Math.min(framesLimit, concurrency * Math.ceil(batch.bytes_max / frameBytes));
  }

  async put(batch: Batch, { kill }: Signals): Promise<Receipt> {
    try {
      // A body that does not come is cut as well: the spool's disk may hang.
      const receipt = await orAborted(this.#deliver(batch, kill), kill);
      if (receipt !== undefined) return receipt;
    } catch (cause) {
      if (!kill.aborted) throw cause;
    }
    throw new Fault({ code: "delivery_cut", retry: "later", message: `push to ${this.#client.place}: cut by shutdown` });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #deliver(batch: Batch, kill: AbortSignal): Promise<Receipt> {
    const work = this.#begun?.digest === batch.digest ? this.#begun.work : await this.#workOf(batch);
    this.#begun = undefined;
    const outcomes = await Promise.allSettled(work.shards.map((shard) => this.#ship(shard, work, batch, kill)));
    const causes = outcomes.flatMap((outcome): unknown[] => (outcome.status === "rejected" ? [outcome.reason] : []));
    if (causes.length > 0) {
      // All that was refused is offered again, also what another shard has given up in the meantime.
      if (causes.some((cause) => cause instanceof Fault && cause.code === code)) for (const shard of work.shards) shard.forgive();
      if (work.begun) this.#begun = { digest: batch.digest, work };
      throw (
        causes.find((cause) => !(cause instanceof Fault)) ?? causes.find((cause) => cause instanceof Fault && cause.retry !== "later") ?? causes[0]
      );
    }
    this.#state = work.next;
    work.frames.forEach(giveBack);
    this.#tolerance.add(work.records, work.refusedCount);
    if (work.cut > 0) this.#tellCut(work.cut);
    const { refusals, next } = work;
    return { outcome: "delivered", ...(refusals === undefined ? {} : { refused: refusals }), ...(next === undefined ? {} : { state: next }) };
  }

  /** Reads the whole body: a batch that does not come out as planned must not be sent. */
  async #workOf(batch: Batch): Promise<Work> {
    assert(batch.codec !== "gzip", "batches for Loki are planned in zstd");
    const entries: Entry[] = [];
    const frames: Uint8Array[] = [];
    const sequences = sequencesOf(batch);
    for await (const piece of batch.body()) {
      const raw = batch.codec === "zstd" ? await this.#context.doors.compress.unzstd(piece) : new Uint8Array(piece);
      frames.push(raw);
      const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
      for (let at = 0; at < bytes.byteLength;) {
        const end = bytes.indexOf(LF, at);
        assert(end >= 0, "a frame ends at a line end");
        entries.push(this.#records.entryOf(bytes.subarray(at, end), sequences.next().value ?? 0));
        at = end + 1;
      }
    }
    const { concurrency, equal_times, batch: limits } = this.#config;
    const note = readNote(batch);
    const next = equal_times === "kept" ? undefined : inOrder(entries, this.#state);
    return new Work(entries, next, frames, concurrency, limits.bytes_max, note);
  }

  /** Pushes the groups of a shard, one after the other, until there are none. What is left when it rejects is still to be pushed. */
  async #ship(shard: Shard, work: Work, batch: Batch, kill: AbortSignal): Promise<void> {
    for (let [group] = shard.groups; group !== undefined; [group] = shard.groups) {
      const answer = await this.#client.push(group, kill);
      const { status, text } = answer;
      const [reason] = status === 400 ? reasonsIn(text) : [];
      if (status === 204) shard.done();
      else if (reason !== undefined && (group.length === 1 || areAllTooOld(text, group))) {
        shard.refuse(reason, wordsOf(text));
        this.#judge(work, text);
      } else if (group.length > 1 && (reason !== undefined || status === 413)) shard.halve();
      else throw refused(answer, `push to ${this.#client.place}`, this.#context.doors.clock.now());
      // Pushed once more by another process it might lie too far behind itself.
      if (work.wide) await batch.setNote(work.note(batch.digest));
    }
  }

  /** Rejects when this is not about single records any more. */
  #judge(work: Work, words: string): void {
    if (this.#config.when_refused === "drop" || !this.#tolerance.exceeds(work.records, work.refusedCount)) return;
    throw new Fault({
      code,
      retry: "denied",
      message: `push to ${this.#client.place}: at least ${work.refusedCount} of ${work.records} records are refused for good: ${wordsOf(words)}`,
      hint: "mend what Loki objects to (its limits, the clock, the labels), and it goes on by itself; or give such records up with when_refused: drop",
    });
  }

  #tellCut(lines: number): void {
    const fault = new Fault({
      code: "loki_line_cut",
      retry: "never",
      message: `${lines} lines were longer than line_bytes_max and were cut`,
      hint: "raise max_line_size in Loki and line_bytes_max here to the same",
    });
    this.#context.board.count(`sinks.${this.#context.name}`, fault, lines);
  }
}

function* sequencesOf({ ranges }: Batch): Generator<number, undefined> {
  for (const [first, last] of ranges) for (let sequence = first; sequence <= last; sequence++) yield sequence;
}
