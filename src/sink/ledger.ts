/**
 * What a sink's journal says, entry by entry, and the state that follows from it.
 *
 * Promise: entries may be applied in the order they were written, with any of them missing, and the state keeps all that
 * can still be known. A `delivered` names its ranges, so that a lost `planned` of the same batch repeats nothing; a lost
 * `delivered` sends the batch again under the same name, which the far side recognises.
 */
import * as v from "valibot";
import type { Codec, Json, Range } from "../core/contract.ts";
import { parseName } from "./name.ts";
import { packRanges, subtract, union, unpackRanges, within } from "./ranges.ts";

/** A batch as planned: all that its bytes and its name follow from. Times in wall milliseconds. */
export interface Plan {
  readonly id: number;
  readonly lane: string;
  readonly number: number;
  readonly epoch: string;
  readonly name: string;
  readonly ranges: readonly Range[];
  readonly records: number;
  readonly codec: Codec;
  /** Which way of encoding made the bytes (encode.ts). */
  readonly encoder: string;
  readonly bytes: number;
  readonly digest: string;
  /** CRC-32 of the body; plans of the first version have none. */
  readonly crc?: number | undefined;
  /** Oldest record time in it. */
  readonly min_ms: number;
}

/** What has arrived, as it is remembered for `verify`. */
export interface Delivered {
  readonly lane: string;
  readonly name: string;
  readonly records: number;
  readonly bytes: number;
  readonly digest: string;
}

/**
 * So many deliveries are remembered one by one: three days of a batch every five minutes, 330 KB in the journal. Of older ones the
 * journal only knows that all of it has arrived.
 */
export const deliveredMax = 1000;

export type Entry =
  /** The sink was opened: the spool's epoch then, and the epoch its plans were made in. */
  | { readonly kind: "opened"; readonly spool_epoch: string; readonly epoch: string }
  /**
   * Everything below `low` is done with; `above` was delivered beyond it. Ids up to `next_id` were given. Of batches that begin
   * with `forgotten` or before, nothing may be remembered.
   */
  | {
      readonly kind: "passed";
      readonly low: number;
      readonly above?: readonly Range[] | undefined;
      readonly next_id?: number | undefined;
      readonly forgotten?: number | undefined;
      readonly state?: Json | undefined;
    }
  /** Delivered before the file was written anew. */
  | ({ readonly kind: "had" } & Delivered)
  /** The spool ends at `next` although the journal knows of later sequences: they will be given to other records. */
  | { readonly kind: "rewound"; readonly next: number }
  /** Planned, or planned anew under the same id. */
  | ({ readonly kind: "planned" } & Plan)
  | { readonly kind: "note"; readonly id: number; readonly note: Json }
  | { readonly kind: "cancelled"; readonly id: number }
  /** `state`: what the sink wants to know as of this delivery; left out: as before. */
  | { readonly kind: "delivered"; readonly id: number; readonly low: number; readonly ranges: readonly Range[]; readonly state?: Json | undefined };

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const hex = (digits: number) => v.pipe(v.string(), v.regex(/^[0-9a-f]+$/), v.length(digits));
const ranges = v.pipe(
  v.unknown(),
  v.rawTransform<unknown, Range[]>(({ dataset, addIssue, NEVER }) => {
    const unpacked = unpackRanges(dataset.value);
    if (unpacked !== undefined) return unpacked;
    addIssue({ message: "must be packed ranges" });
    return NEVER;
  }),
);

const state = v.optional(v.custom<Json>((value) => value !== undefined));

const entrySchema = v.variant("kind", [
  v.object({ kind: v.literal("opened"), spool_epoch: hex(8), epoch: hex(8) }),
  v.object({
    kind: v.literal("passed"),
    low: count,
    above: v.optional(ranges),
    next_id: v.optional(count),
    forgotten: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(-1))),
    state,
  }),
  v.object({ kind: v.literal("had"), lane: v.string(), name: v.string(), records: count, bytes: count, digest: hex(64) }),
  v.object({ kind: v.literal("rewound"), next: count }),
  v.object({
    kind: v.literal("planned"),
    id: count,
    lane: v.string(),
    number: count,
    epoch: hex(8),
    name: v.string(),
    ranges,
    records: count,
    codec: v.picklist(["zstd", "gzip", "none"]),
    encoder: v.string(),
    bytes: count,
    digest: hex(64),
    crc: v.optional(count),
    min_ms: v.number(),
  }),
  v.object({ kind: v.literal("note"), id: count, note: v.custom<Json>((value) => value !== undefined) }),
  v.object({ kind: v.literal("cancelled"), id: count }),
  v.object({ kind: v.literal("delivered"), id: count, low: count, ranges, state }),
]);

/** An entry as read from its JSON; undefined when it is none of ours. */
export function parseEntry(json: unknown): Entry | undefined {
  const parsed = v.safeParse(entrySchema, json);
  return parsed.success ? parsed.output : undefined;
}

/** The JSON text of an entry, without a line end. */
export function entryText(entry: Entry): string {
  if (entry.kind === "planned" || entry.kind === "delivered") return JSON.stringify({ ...entry, ranges: packRanges(entry.ranges) });
  if (entry.kind === "passed" && entry.above !== undefined) return JSON.stringify({ ...entry, above: packRanges(entry.above) });
  return JSON.stringify(entry);
}

/** Cursor and ledger of one sink, as its journal has it. */
export class Ledger {
  /** Every record below it is delivered, lost or not for this sink. */
  low = 0;
  /** Delivered beyond `low`. */
  above: Range[] = [];
  /** Planned and not delivered, by id; in the order of planning. */
  readonly plans = new Map<number, Plan>();
  readonly notes = new Map<number, Json>();
  nextId = 0;
  /** The latest deliveries, oldest first. */
  readonly delivered: Delivered[] = [];
  /** Of batches that begin after it, all deliveries are in `delivered`. */
  forgotten = -1;
  /** The sink's own, as of the latest delivery. */
  state: Json | undefined;
  /** The latest `opened`. */
  opened: { readonly spoolEpoch: string; readonly epoch: string } | undefined;

  apply(entry: Entry): void {
    if ("state" in entry) this.state = entry.state ?? this.state;
    switch (entry.kind) {
      case "opened":
        this.opened = { spoolEpoch: entry.spool_epoch, epoch: entry.epoch };
        break;
      case "passed":
        this.nextId = Math.max(this.nextId, entry.next_id ?? 0);
        this.#pass(entry.low, entry.above ?? []);
        // A journal from before deliveries were remembered: all that it knows of is forgotten.
        if (entry.forgotten !== undefined || entry.next_id !== undefined)
          this.forgotten = Math.max(this.forgotten, entry.forgotten ?? this.end() - 1);
        break;
      case "had": {
        const { kind: _, ...delivered } = entry;
        this.#remember(delivered);
        break;
      }
      case "rewound":
        this.low = Math.min(this.low, entry.next);
        this.above = within(this.above, 0, entry.next - 1);
        for (const plan of this.plans.values()) if ((plan.ranges.at(-1)?.[1] ?? 0) >= entry.next) this.#forget(plan.id);
        break;
      case "planned": {
        const { kind: _, ...plan } = entry;
        this.plans.set(entry.id, plan);
        this.nextId = Math.max(this.nextId, entry.id + 1);
        break;
      }
      case "note":
        if (this.plans.has(entry.id)) this.notes.set(entry.id, entry.note);
        break;
      case "cancelled":
        this.#forget(entry.id);
        break;
      case "delivered":
        this.nextId = Math.max(this.nextId, entry.id + 1);
        this.#arrived(this.plans.get(entry.id), entry.ranges);
        this.#forget(entry.id);
        this.#pass(entry.low, entry.ranges);
        break;
    }
  }

  #arrived(plan: Plan | undefined, delivered: readonly Range[]): void {
    if (plan === undefined) {
      this.forgotten = Math.max(this.forgotten, delivered[0]?.[0] ?? -1);
      return;
    }
    const { lane, name, records, bytes, digest } = plan;
    this.#remember({ lane, name, records, bytes, digest });
  }

  #remember(delivered: Delivered): void {
    this.delivered.push(delivered);
    if (this.delivered.length <= deliveredMax) return;
    const oldest = this.delivered.shift();
    this.forgotten = Math.max(this.forgotten, parseName(oldest?.name ?? "")?.first ?? -1);
  }

  /** The sequence after the newest that has arrived or is planned. */
  end(): number {
    let end = Math.max(this.low, (this.above.at(-1)?.[1] ?? -1) + 1);
    for (const plan of this.plans.values()) end = Math.max(end, (plan.ranges.at(-1)?.[1] ?? -1) + 1);
    return end;
  }

  #forget(id: number): void {
    this.plans.delete(id);
    this.notes.delete(id);
  }

  #pass(low: number, delivered: readonly Range[]): void {
    this.low = Math.max(this.low, low);
    const above = union(this.above, delivered);
    this.above = this.low === 0 ? above : subtract(above, [[0, this.low - 1]]);
  }

  /** The sequences that must not be planned again: delivered, or in a plan. */
  covered(): Range[] {
    let all: readonly Range[] = this.above;
    for (const plan of this.plans.values()) all = union(all, plan.ranges);
    return [...all];
  }

  /** The fewest entries that give this state. */
  snapshot(): Entry[] {
    const { low, above, nextId, forgotten, state: kept } = this;
    const entries: Entry[] = [{ kind: "passed", low, above, next_id: nextId, forgotten, state: kept }];
    for (const delivered of this.delivered) entries.push({ kind: "had", ...delivered });
    if (this.opened !== undefined) entries.push({ kind: "opened", spool_epoch: this.opened.spoolEpoch, epoch: this.opened.epoch });
    for (const plan of this.plans.values()) entries.push({ kind: "planned", ...plan });
    for (const [id, note] of this.notes) entries.push({ kind: "note", id, note });
    return entries;
  }
}
