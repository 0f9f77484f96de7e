/**
 * Who takes the batches: another logferry, which names itself in `Logferry-Receiver`, or anything else.
 *
 * A logferry knows a repeated batch by its number and takes bodies of several frames. Another receiver may decode only the
 * first frame of a body and call it a 2xx, so it gets bodies of one. Whether a repeat is known is remembered by one receiver for
 * itself: when the receiver changes, delivery is at least once, and `http_receiver_changed` stands in health until a hundred
 * deliveries in a row went to the same one.
 */
import type { Board } from "../../core/board.ts";
import { excerpt, Fault } from "../../core/fault.ts";

/** The id of a logferry, null for any other receiver, undefined while none has answered yet. */
export type ReceiverId = string | null | undefined;

const steadyCount = 100;
const code = "http_receiver_changed";

export class Receiver {
  #id: ReceiverId;
  #steady = 0;
  #changed = false;
  readonly #board: Board;
  readonly #component: string;
  readonly #place: string;

  constructor(board: Board, component: string, place: string) {
    this.#board = board;
    this.#component = component;
    this.#place = place;
  }

  get id(): ReceiverId {
    return this.#id;
  }

  /** It has answered. Only a 2xx, or any answer that names a logferry, tells who stands there: errors may come from a proxy. */
  seen(id: string | null): void {
    const before = this.#id;
    this.#id = id;
    // From unknown, or from another receiver to a logferry that numbers from now on: nothing was promised before.
    if (before === undefined || before === null || before === id) return this.#settle();
    this.report(id === null ? "it is no logferry any more" : "another logferry answers there now");
  }

  /** Delivery is at least once from here on for what is under way; `why` goes into the message. */
  report(why: string): void {
    this.#steady = 0;
    this.#changed = true;
    const fault = new Fault({
      code,
      retry: "later",
      message: `deliver to ${this.#place}: ${why}`,
      hint: "batches that were under way may have arrived twice; point url at one receiver, not at several in turn",
    });
    this.#board.raise(this.#component, "degraded", fault);
  }

  #settle(): void {
    if (!this.#changed || ++this.#steady < steadyCount) return;
    this.#changed = false;
    this.#board.clear(this.#component, code);
  }
}

/** The receiver's own id, when it is a logferry. */
export function receiverOf(headers: Headers): string | null {
  const id = excerpt(headers.get("logferry-receiver") ?? "", 128);
  return id === "" ? null : id;
}
