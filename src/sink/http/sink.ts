/**
 * Sink `http`: one POST a batch, NDJSON in zstd, gzip or plain; any 2xx is a delivery.
 *
 * Promises:
 * - A retry, also after a restart, has the same `Idempotency-Key`: `{spool id, 16 hex}-{epoch of the plan}-{first}-{last}`, the
 *   sequences in plain decimal. A receiver that is a logferry knows a repeat by `Logferry-Batch` and commits it once; for any
 *   other receiver delivery is at least once.
 * - One frame (zstd) or member (gzip) a body, unless the receiver is a logferry; then as many as it takes by default.
 * - Every answer has a verdict (fault.ts): 400, 413 and 422 are poison, everything else is kept until it is taken.
 * - A 409 of a logferry is compared: exactly this batch is delivered, anything else is forked.
 */
import type { Batch, Json, Receipt, Sink, SinkContext, SinkKind } from "../../core/contract.ts";
import type { Received } from "../../core/holdings.ts";
import { Fault } from "../../core/fault.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { deliveryOf } from "../schema.ts";
import { bodyOf, joined } from "./body.ts";
import { check } from "./check.ts";
import { schema, type Config } from "./config.ts";
import { refused } from "./fault.ts";
import { Receiver, receiverOf } from "./receiver.ts";
import { isLast, receivedOf } from "./received.ts";
import { Client } from "./client.ts";

export const http: SinkKind<Config> = {
  type: "http",
  schema,
  delivery: (config) => deliveryOf(config),
  open: async (config, context) => new HttpSink(config, context),
  check,
};

/** A logferry takes bodies of 16 MiB decoded unless told otherwise (body_bytes_max); a frame is 1 MiB NDJSON, now and then a bit more. */
const logferryFramesMax = 15;

const encodings = { zstd: { "Content-Encoding": "zstd" }, gzip: { "Content-Encoding": "gzip" }, none: {} } as const;

class HttpSink implements Sink {
  readonly #context: SinkContext;
  readonly #client: Client;
  readonly #receiver: Receiver;

  constructor(config: Config, context: SinkContext) {
    this.#context = context;
    this.#client = new Client(config, context.doors);
    this.#receiver = new Receiver(context.board, `sinks.${context.name}`, this.#client.place);
  }

  framesMax(): number {
    return typeof this.#receiver.id === "string" ? logferryFramesMax : 1;
  }

  async put(batch: Batch, { kill }: Signals): Promise<Receipt> {
    try {
      // A body that does not come is cut as well: the spool's disk may hang.
      const receipt = await orAborted(this.#deliver(batch, kill), kill);
      if (receipt !== undefined) return receipt;
    } catch (cause) {
      if (!kill.aborted) throw cause;
    }
    throw new Fault({ code: "delivery_cut", retry: "later", message: `post batch to ${this.#client.place}: cut by shutdown` });
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #deliver(batch: Batch, kill: AbortSignal): Promise<Receipt> {
    const { lent, frames } = await bodyOf(batch);
    using memory = lent;
    const { bytes } = memory;
    if (frames <= 1) return await this.#post(batch, bytes, kill);
    if (this.#receiver.id === undefined) await this.#meet(kill);
    if (typeof this.#receiver.id === "string") {
      const receipt = await this.#post(batch, bytes, kill);
      if (typeof this.#receiver.id === "string") return receipt;
    } else {
      this.#receiver.report("a batch was planned for a logferry and goes to another receiver");
    }
    // A 2xx of a receiver that is no logferry may stand for the first frame only.
    return await this.#post(batch, await joined(bytes, batch.codec, this.#context.doors.compress), kill, false);
  }

  /** `planned`: the body is the one whose digest is in the plan, so that a logferry may know it again. */
  async #post(batch: Batch, body: Uint8Array, kill: AbortSignal, planned = true): Promise<Receipt> {
    const headers = planned ? { ...this.#headers(batch), ...this.#mark(batch) } : this.#headers(batch);
    const answer = await this.#client.send("POST", headers, body, kill);
    const id = receiverOf(answer.headers);
    const taken = answer.status >= 200 && answer.status < 300;
    if (taken || id !== null) this.#receiver.seen(id);
    if (taken) return { outcome: "delivered" };
    if (answer.status === 409 && id !== null) return { outcome: holds(answer, batch) ? "delivered" : "forked" };
    throw refused(answer, `post batch to ${this.#client.place}`, this.#context.doors.clock.now());
  }

  /** Asks who stands there before a body of several frames is sent: OPTIONS stores nothing. */
  async #meet(kill: AbortSignal): Promise<void> {
    const answer = await this.#client.send("OPTIONS", {}, undefined, kill);
    const id = receiverOf(answer.headers);
    const overloaded = answer.status >= 500 || [408, 425, 429].includes(answer.status);
    if (id === null && overloaded && answer.status !== 501) {
      throw refused(answer, `ask ${this.#client.place} who it is`, this.#context.doors.clock.now());
    }
    this.#receiver.seen(id);
  }

  /** Another logferry is asked what it has of this spool and sink; any other receiver cannot tell. */
  async received(epochs: readonly string[], kill: AbortSignal): Promise<Received | undefined> {
    const text = await this.#askHeld(kill);
    return text === undefined ? undefined : receivedOf(text, epochs);
  }

  /** It remembers the last batch of each lane with its digest. */
  async has(batch: Batch, kill: AbortSignal): Promise<boolean> {
    const text = await this.#askHeld(kill);
    return text !== undefined && isLast(text, batch);
  }

  /** Its answer; undefined from a receiver that keeps no account. */
  async #askHeld(kill: AbortSignal): Promise<string | undefined> {
    const { spoolId, name, doors } = this.#context;
    const answer = await this.#client.send("OPTIONS", { "Logferry-Held": [spoolId, name].map(encodeURIComponent).join("/") }, undefined, kill);
    if (answer.status === 200) return answer.text;
    // 404, 405, 501 and the like are answers of one that takes records and knows no more.
    const mayPass = answer.status >= 500 && answer.status !== 501;
    if (mayPass || [401, 403, 408, 425, 429].includes(answer.status))
      throw refused(answer, `ask ${this.#client.place} what it has`, doors.clock.now());
    return undefined;
  }

  #headers(batch: Batch): Record<string, string> {
    const { spoolId } = this.#context;
    const first = batch.ranges[0]?.[0] ?? 0;
    const last = batch.ranges.at(-1)?.[1] ?? 0;
    return {
      "Content-Type": "application/x-ndjson",
      ...encodings[batch.codec],
      "Idempotency-Key": `${spoolId.slice(0, 16)}-${batch.epoch}-${first}-${last}`,
      "Logferry-Records": String(batch.records),
    };
  }

  /** What one logferry tells another. */
  #mark(batch: Batch): Record<string, string> {
    const { spoolId, name } = this.#context;
    return {
      "Logferry-Batch": [spoolId, batch.epoch, name, batch.lane, String(batch.number)].map(encodeURIComponent).join("/"),
      "Logferry-Digest": `sha256:${batch.digest}`,
      ...(batch.low === undefined ? {} : { "Logferry-Low": String(batch.low) }),
    };
  }
}

/** Whether a 409 says that the last batch it has of this lane is this one. */
function holds(answer: NetworkAnswer, batch: Batch): boolean {
  let said: Json;
  try {
    said = JSON.parse(answer.text) as Json;
  } catch {
    return false;
  }
  if (typeof said !== "object" || said === null || Array.isArray(said)) return false;
  const { epoch, number, digest } = said as { readonly [key: string]: Json };
  return epoch === batch.epoch && number === batch.number && digest === `sha256:${batch.digest}`;
}
