/**
 * Lanes: what another logferry has brought so far, by sender, so that a batch that comes again is stored once.
 *
 *     Logferry-Batch: {spool id}/{epoch}/{sink}/{lane}/{number}         each part percent-encoded
 *     position   key    sender/{token name}/{spool id}/{sink}/{lane}    each part percent-encoded
 *                value  { epoch, number, digest, past: [earlier epochs, newest first], day: last seen, days since 1970,
 *                         low, had: [[epoch, first, last], …], cut }
 *
 * The value is committed in the same group as the records of its batch, whole or not at all. So of a batch that was sent again
 * after a crash on either side, either the records and the number are here, or neither.
 *
 * - The next number: taken. The last one again, with an equal digest: answered as taken, not stored again.
 * - An epoch that was never seen, with number 0: taken as new. A sender begins one at every start, and after a 409.
 * - Anything else is a conflict: a sender that was rolled back or copied, or a receiver that was. 409 says what is held.
 *
 * A sender that has lost its journal asks what it has brought (`Logferry-Held: {spool id}/{sink}`), and so does one that cannot send
 * a batch again as it was and does not know whether it arrived: `number` and `digest` are of the lane's last batch; `low` is the last it said of
 * itself (`Logferry-Low`: all records of this sink below it have arrived), `had` the first and last sequence of each batch since,
 * touching ones joined, the last 16; up to `cut` some were left out. Which epochs are its own, the sender knows.
 *
 * What is forgotten: a lane not seen for 30 days, and epochs before the last 16. A sender that comes back to a forgotten lane is
 * answered 409 and goes on in a new epoch.
 */
import type { Json, PositionDelta } from "../../core/contract.ts";
import { refuse } from "./answer.ts";

/** A `Logferry-Batch` header. */
export interface BatchId {
  readonly spool: string;
  readonly epoch: string;
  readonly sink: string;
  readonly lane: string;
  readonly number: number;
}

/** Which records a batch has, and below which its sender has none to bring any more. */
export interface Extent {
  readonly first: number;
  readonly last: number;
  readonly low: number;
}

type Had = readonly [epoch: string, first: number, last: number];

interface Held {
  readonly epoch: string;
  readonly number: number;
  /** `sha256:hex` of the body as sent. */
  readonly digest: string;
  readonly past: readonly string[];
  readonly day: number;
  readonly low?: number;
  readonly had?: readonly Had[];
  readonly cut?: number;
}

const pastMax = 16;
/** As many batches as can be in flight beside a slow one, several times over: 40 bytes each. */
const hadMax = 16;
const daysMax = 30;
const dayMs = 86_400_000;
/** A thousand senders of twenty lanes; 300 bytes each in every checkpoint. */
export const lanesMax = 20_000;
const prefix = "sender/";

/** The header's parts, or the refusal of one that is malformed. */
export function parseBatch(header: string): BatchId | Response {
  const parts = header.split("/");
  const [spool = "", epoch = "", sink = "", lane = "", number = ""] = parts.map(decodePart);
  const fine = /^[0-9a-f]{32}$/.test(spool) && /^[0-9a-f]{8}$/.test(epoch) && /^\d{1,15}$/.test(number) && sink !== "" && lane !== "";
  if (fine && parts.length === 5 && header.length <= 512) return { spool, epoch, sink, lane, number: Number(number) };
  return refuse({
    status: 400,
    code: "batch_invalid",
    error: "Logferry-Batch is not {spool id}/{epoch}/{sink}/{lane}/{number}",
    hint: "only a logferry sets this header; leave it out",
  });
}

/** The extent as the headers have it; undefined where they do not say, or not in the words of a logferry. */
export function parseExtent(headers: Headers, { spool, epoch }: BatchId): Extent | undefined {
  const key = /^([0-9a-f]{16})-([0-9a-f]{8})-(\d{1,16})-(\d{1,16})$/.exec(headers.get("idempotency-key") ?? "");
  const said = /^\d{1,16}$/.exec(headers.get("logferry-low") ?? "");
  if (key === null || said === null || key[1] !== spool.slice(0, 16) || key[2] !== epoch) return undefined;
  const [first, last, low] = [Number(key[3]), Number(key[4]), Number(said[0])];
  return Number.isSafeInteger(last) && Number.isSafeInteger(low) && first <= last ? { first, last, low } : undefined;
}

/** A `Logferry-Held` header. */
export function parseSender(header: string): { readonly spool: string; readonly sink: string } | undefined {
  const [spool = "", sink = "", ...rest] = header.split("/").map(decodePart);
  return /^[0-9a-f]{32}$/.test(spool) && sink !== "" && rest.length === 0 ? { spool, sink } : undefined;
}

export class Lanes {
  readonly #held = new Map<string, Held>();
  /** What is under way, by lane: the end of its queue. */
  readonly #queues = new Map<string, Promise<unknown>>();
  readonly #now: () => number;

  /** `positions` are those committed before; `now` is wall time in milliseconds. */
  constructor(positions: ReadonlyMap<string, Json>, now: () => number) {
    this.#now = now;
    for (const [key, value] of positions) {
      const held = key.startsWith(prefix) ? heldOf(value) : undefined;
      if (held !== undefined) this.#held.set(key, held);
    }
  }

  /**
   * Waits for what is under way on the batch's lane, then stores it if it is new: `store` gets the position that is to be
   * committed with its records and resolves once both are durable, or rejects and nothing was stored.
   * Resolves with the answer: 204, 409, or 429 when there are too many lanes.
   */
  async take(token: string, batch: BatchId, digest: string, store: (position: PositionDelta) => Promise<void>, extent?: Extent): Promise<Response> {
    const key = prefix + [token, batch.spool, batch.sink, batch.lane].map(encodeURIComponent).join("/");
    const turn = (this.#queues.get(key) ?? Promise.resolve()).then(() => this.#takeNow(key, batch, digest, store, extent));
    const end = turn.catch(() => {}); // whoever called sees it; the next in line is not concerned
    this.#queues.set(key, end);
    try {
      return await turn;
    } finally {
      if (this.#queues.get(key) === end) this.#queues.delete(key);
    }
  }

  async #takeNow(
    key: string,
    batch: BatchId,
    digest: string,
    store: (position: PositionDelta) => Promise<void>,
    extent: Extent | undefined,
  ): Promise<Response> {
    const held = this.#held.get(key);
    const { epoch, number } = batch;
    if (held?.epoch === epoch && held.number === number && held.digest === digest) return new Response(null, { status: 204 });
    const next = held?.epoch === epoch ? number === held.number + 1 : number === 0 && held?.past.includes(epoch) !== true;
    if (!next) return conflict(batch, held);
    if (held === undefined && this.#held.size >= lanesMax) return tooMany();
    const past = held === undefined ? [] : held.epoch === epoch ? held.past : [held.epoch, ...held.past].slice(0, pastMax);
    const value: Held = { epoch, number, digest, past, day: Math.floor(this.#now() / dayMs), ...extended(held, epoch, extent) };
    await store({ [key]: { ...value } });
    this.#held.set(key, value);
    return new Response(null, { status: 204 });
  }

  /** What a sender has brought, lane by lane: the answer to `Logferry-Held`. Waits for what is under way: it may be what is asked about. */
  async heldOf(token: string, { spool, sink }: { readonly spool: string; readonly sink: string }): Promise<Response> {
    const start = `${prefix}${[token, spool, sink].map(encodeURIComponent).join("/")}/`;
    await Promise.all([...this.#queues].filter(([key]) => key.startsWith(start)).map(([, queue]) => queue));
    const lanes = [...this.#held].filter(([key]) => key.startsWith(start));
    return Response.json({
      lanes: lanes.map(([key, { epoch, number, digest, low, cut, had = [] }]) => {
        const lane = decodePart(key.slice(start.length));
        return { lane, epoch, number, digest, low, cut, had };
      }),
    });
  }

  /** Forgets lanes not seen for 30 days; returns the position that says so, undefined when there are none. */
  expire(): PositionDelta | undefined {
    const oldest = Math.floor(this.#now() / dayMs) - daysMax;
    const gone = [...this.#held].filter(([key, { day }]) => day < oldest && !this.#queues.has(key)).map(([key]) => key);
    for (const key of gone) this.#held.delete(key);
    return gone.length === 0 ? undefined : Object.fromEntries(gone.map((key) => [key, null]));
  }
}

/** What a lane has after a batch: those that its sender says it is done with need not be remembered. */
function extended(held: Held | undefined, epoch: string, extent: Extent | undefined): Pick<Held, "low" | "had" | "cut"> {
  // One that does not say: of it, nothing can be told afterwards.
  if (extent === undefined) return {};
  const { first, last, low } = extent;
  const had = (held?.had ?? []).filter(([, , end]) => end >= low);
  const before = had.at(-1);
  if (before?.[0] === epoch && before[2] + 1 === first) had[had.length - 1] = [epoch, before[1], last];
  else had.push([epoch, first, last]);
  const left = had.splice(0, Math.max(0, had.length - hadMax));
  const cut = Math.max(held?.cut ?? -1, ...left.map(([, , end]) => end));
  return { low, had, ...(cut < low ? {} : { cut }) };
}

function conflict(batch: BatchId, held: Held | undefined): Response {
  const has = held === undefined ? "nothing of this lane" : `batch ${held.number} of epoch ${held.epoch}`;
  return refuse({
    status: 409,
    code: "batch_conflict",
    error: `batch ${batch.number} of epoch ${batch.epoch} does not follow: here is ${has}`,
    hint: "the sender goes on by itself in a new epoch from number 0; records it is not sure of may come twice",
    more: { epoch: held?.epoch ?? null, number: held?.number ?? null, digest: held?.digest ?? null },
  });
}

function tooMany(): Response {
  const hint = "one sender makes a lane for each of its spools, sinks and parallel requests; lanes not seen for 30 days are forgotten";
  const error = `more than ${lanesMax} lanes of senders`;
  return refuse({ status: 429, code: "http_too_many_lanes", error, hint, headers: { "Retry-After": "60" } });
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}

function heldOf(value: Json): Held | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { epoch, number, digest, past, day, low, had, cut } = value as { readonly [key: string]: Json };
  if (typeof epoch !== "string" || typeof number !== "number" || typeof digest !== "string" || typeof day !== "number") return undefined;
  return {
    epoch,
    number,
    digest,
    day,
    past: Array.isArray(past) ? past.map(String) : [],
    ...(typeof low === "number" && Array.isArray(had) ? { low, had: had.filter(isHad) } : {}),
    ...(typeof cut === "number" ? { cut } : {}),
  };
}

function isHad(value: Json): value is Had {
  return Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "number" && typeof value[2] === "number";
}
