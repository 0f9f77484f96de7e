/** What a Loki answers, and what it closes a tail with, as faults: later, denied, and what to do. */
import { excerpt, Fault, type FaultDetail } from "../../core/fault.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import { retryAfterMs } from "../../core/retry.ts";

/** Loki never says how long to wait after a 429. */
const busyMs = 30_000;

/** The Fault for an answer that is not a 200. `nowMs` is wall time. */
export function refused(answer: NetworkAnswer, operation: string, nowMs: number): Fault {
  const { status, headers, text } = answer;
  const words = excerpt(text);
  const waitMs = retryAfterMs(headers.get("retry-after"), nowMs) ?? (status === 429 ? busyMs : undefined);
  return new Fault({
    ...verdictOf(status, words),
    message: `${operation}: answered ${status}${words === "" ? "" : `: ${words}`}`,
    ...(waitMs === undefined ? {} : { waitMs }),
  });
}

function verdictOf(status: number, words: string): Pick<FaultDetail, "code" | "retry" | "hint"> {
  if (status === 401 || status === 403 || status === 407) {
    const hint = words.includes("no org id") ? "this Loki keeps tenants apart: set tenant" : "check bearer_token_file or basic, and tenant";
    return { code: "loki_unauthorized", retry: "denied", hint };
  }
  if (status === 400) return { code: "loki_query_refused", retry: "denied", hint: "correct query; Loki's own words are in the message" };
  if (status === 404 || status === 405 || (status >= 300 && status < 400)) {
    return { code: "loki_wrong_url", retry: "denied", hint: "correct url: Loki's API must lie below it, at /loki/api/v1" };
  }
  if (status === 429)
    return { code: "loki_busy", retry: "later", hint: "Loki's limits for this tenant; raise sweep_interval or the limits if it stays so" };
  if (status >= 500 || status === 408 || status === 499)
    return { code: "loki_server_error", retry: "later", hint: "look at Loki's own log; it is tried again by itself" };
  return { code: "loki_unexpected_answer", retry: "denied", hint: "Loki, or what stands before it, does not take requests like this" };
}

export function unreadable(operation: string, why: string): Fault {
  return new Fault({
    code: "loki_answer_unreadable",
    retry: "later",
    message: `${operation}: the answer cannot be read: ${why}`,
    hint: "is it Loki that answers at url, and does a proxy change what it says?",
  });
}

/** How a tail ended. */
export interface TailEnd {
  readonly code: number;
  readonly reason: string;
  readonly status?: number;
  readonly opened: boolean;
}

/** What follows from the end of a tail: the fault to show, if any, and how long to wait; undefined: as backoff says. */
export interface TailVerdict {
  readonly fault?: Fault;
  readonly waitMs?: number;
}

/** Other users of the tenant's tails must end one first. */
const limitMs = 30_000;
/** What does not let a WebSocket through today will hardly do so in a moment; sweeps go on meanwhile. */
const closedDoorMs = 60_000;

export function judgeEnd(end: TailEnd, place: string): TailVerdict {
  const { code, reason, status, opened } = end;
  if (code === 1000 || /max duration/.test(reason)) return { waitMs: 0 };
  if (/max concurrent tail/.test(reason)) {
    const hint = "raise max_concurrent_tail_requests of this tenant or use mode: poll; until then sweeps bring everything, later";
    return { fault: new Fault({ code: "loki_tail_limit", retry: "later", message: `tail ${place}: ${excerpt(reason)}`, hint }), waitMs: limitMs };
  }
  if (!opened && (status === 401 || status === 403 || status === 407)) {
    const hint = "check bearer_token_file or basic, set tenant if this Loki keeps tenants apart; does the gateway permit /loki/api/v1/tail?";
    const message = `tail ${place}: the handshake was answered ${status}`;
    return { fault: new Fault({ code: "loki_unauthorized", retry: "denied", message, hint }), waitMs: closedDoorMs };
  }
  if (!opened && status === 429) {
    const hint = "limits for this tenant; sweeps bring everything meanwhile, later";
    return {
      fault: new Fault({ code: "loki_busy", retry: "later", message: `tail ${place}: the handshake was answered 429`, hint }),
      waitMs: busyMs,
    };
  }
  // A 5xx may be a server that starts just now, or a query-frontend that does not pass tails on: backoff tells them apart.
  if (!opened && status !== undefined) {
    const hint =
      "let the way to Loki pass WebSockets (Upgrade and Connection headers, HTTP/1.1) or use mode: poll; sweeps bring everything meanwhile, later";
    const message = `tail ${place}: the handshake was answered ${status}`;
    const fault = new Fault({ code: "loki_tail_refused", retry: "later", message, hint });
    return status >= 500 ? { fault } : { fault, waitMs: closedDoorMs };
  }
  const words = reason === "" ? (opened ? "the connection was cut" : "no connection") : excerpt(reason);
  const hint = "it is opened again by itself, and what it missed is fetched";
  return { fault: new Fault({ code: "loki_tail_closed", retry: "later", message: `tail ${place}: ${words}`, hint }) };
}
