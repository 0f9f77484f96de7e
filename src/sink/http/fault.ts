/**
 * What an answer that is not a 2xx means: every status as later, denied or poison. What is not listed is denied, so that it is
 * kept, shown at once and tried again.
 */
import { Bug } from "../../core/assert.ts";
import { Cut } from "../../core/deadline.ts";
import { excerpt, Fault, type FaultDetail } from "../../core/fault.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import { wayHint } from "../../core/requester.ts";
import { retryAfterMs } from "../../core/retry.ts";

type Verdict = Pick<FaultDetail, "code" | "retry" | "hint">;

/** The Fault for `answer` to `operation` (`post batch to https://…`). `nowMs` is wall time, for a Retry-After that is a date. */
export function refused(answer: NetworkAnswer, operation: string, nowMs: number): Fault {
  const { status, headers, text } = answer;
  const words = excerpt(text);
  const waitMs = retryAfterMs(headers.get("retry-after"), nowMs);
  return new Fault({
    ...verdictOf(status, headers),
    message: `${operation}: answered ${status}${words === "" ? "" : `: ${words}`}`,
    ...(waitMs === undefined ? {} : { waitMs }),
  });
}

function verdictOf(status: number, headers: Headers): Verdict {
  if (status === 400 || status === 413 || status === 422) {
    return { code: "http_refused", retry: "poison", hint: refusedHint(status) };
  }
  if (status === 401 || status === 403 || status === 407) {
    return { code: "http_unauthorized", retry: "denied", hint: unauthorizedHint(status) };
  }
  if (status >= 300 && status < 400) return { code: "http_wrong_url", retry: "denied", hint: movedHint(headers.get("location")) };
  if (status === 404 || status === 405 || status === 410) {
    return { code: "http_wrong_url", retry: "denied", hint: "check the path of url: nothing takes a POST there" };
  }
  if (status === 408 || status === 425 || status === 429 || status === 503) {
    return {
      code: "http_busy",
      retry: "later",
      hint: "the receiver asks to wait and is tried again by itself; look at its own health if it stays so",
    };
  }
  if (status >= 500) return { code: "http_server_error", retry: "later", hint: "look at the receiver's own log; it is tried again by itself" };
  if (status === 415)
    return { code: "http_unexpected_answer", retry: "denied", hint: "the receiver does not take this encoding; set codec to gzip or none" };
  return { code: "http_unexpected_answer", retry: "denied", hint: "the receiver does not take requests like this; its words are in the message" };
}

function refusedHint(status: number): string {
  const kept = "the batch is kept and offered again until it is taken";
  // Planned batches keep their size, so that a retry is the same request: only the receiver can let this one through.
  if (status === 413) return `let the receiver take larger bodies; a smaller batch.bytes_max helps those planned from then on; ${kept}`;
  return `the receiver objects to this data, in its own words in the message: mend it there, or look whether url is the right place; ${kept}`;
}

function unauthorizedHint(status: number): string {
  if (status === 407) return "the proxy wants credentials: put them into HTTPS_PROXY or HTTP_PROXY";
  return "check bearer_token_file or basic, and what the token may do; the files are read again by themselves";
}

/** Redirects are not followed: a POST may come out as a GET, and the credentials would go to whoever is named. */
function movedHint(location: string | null): string {
  const target = location !== null && URL.canParse(location) ? new URL(location) : undefined;
  const where = target === undefined ? excerpt((location ?? "").split("?")[0] ?? "", 200) : `${target.origin}${target.pathname}`;
  return where === "" ? "the receiver points elsewhere; correct url" : `the receiver points to ${where}; set url to where it takes a POST`;
}

/** The Fault for a request without an answer. A Fault and a Bug pass as they are. */
export function unreachable(cause: unknown, place: string): Error {
  if (cause instanceof Fault || cause instanceof Bug) return cause;
  const slow = cause instanceof Cut ? "; raise timeout if it is only slow" : "";
  const hint = `${wayHint(cause, "the receiver")}${slow}; it is tried again by itself`;
  return new Fault({ code: "http_unreachable", retry: "later", message: `reach ${place}`, hint, cause });
}

/** The Fault for credentials that cannot be sent. */
export function unauthorized(message: string, hint: string): Fault {
  return new Fault({ code: "http_unauthorized", retry: "denied", message, hint });
}
