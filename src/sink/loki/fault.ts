/**
 * What Loki answers to a push (docs/decisions/loki-push.md). Only 204 is a delivery: 260 is what it answers while ingestion is
 * blocked, and nothing was stored. What is not listed is denied, so that it is kept, shown at once and tried again.
 */
import { excerpt, Fault, type FaultDetail } from "../../core/fault.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import { retryAfterMs } from "../../core/retry.ts";
import type { Entry } from "./record.ts";

/** A text may name thousands of entries. */
const textMax = 8192;

/** Reasons for which Loki refuses an entry for good, in its own words; the rest of the push is stored. */
const forGood: readonly (readonly [reason: string, words: RegExp])[] = [
  ["too_old", /has timestamp too old/],
  ["too_far_ahead", /has timestamp too new/],
  ["too_far_behind", /entry too far behind|entry out of order/i],
  ["line_too_long", /max entry size '\d+' bytes exceeded/],
  ["metadata_too_large", /structured metadata too large|too many structured metadata labels/],
];

/** The reasons in the text of a 400; none when it is about something else. */
export function reasonsIn(text: string): string[] {
  return forGood.flatMap(([reason, words]) => (words.test(text) ? [reason] : []));
}

/**
 * Whether the text of a 400 with the one reason `too_old` tells that all of `entries` are: it names the oldest time that is taken, cut
 * to the second. Saves a push for each of thousands after a long outage.
 */
export function areAllTooOld(text: string, entries: readonly Entry[]): boolean {
  const [reason, another] = reasonsIn(text);
  if (reason !== "too_old" || another !== undefined) return false;
  const oldest = Date.parse(/oldest acceptable timestamp is: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/.exec(text)?.[1] ?? "") / 1000;
  return entries.every(({ seconds }) => seconds < oldest);
}

/** Loki's words fit for a message: of a stream it names, the beginning, so that what is wrong with it is not cut off. */
export function wordsOf(text: string): string {
  return excerpt(text.slice(0, textMax).replace(/\{[^{}]{80,}\}/g, (stream) => `${stream.slice(0, 60)}…}`));
}

/** The Fault for an answer that is neither a delivery nor about single entries. `nowMs` is wall time. */
export function refused(answer: NetworkAnswer, operation: string, nowMs: number): Fault {
  const { status, headers, text } = answer;
  const words = wordsOf(text);
  const waitMs = retryAfterMs(headers.get("retry-after"), nowMs);
  return new Fault({
    ...verdictOf(status, text),
    message: `${operation}: answered ${status}${words === "" ? "" : `: ${words}`}`,
    ...(waitMs === undefined ? {} : { waitMs }),
  });
}

function verdictOf(status: number, words: string): Pick<FaultDetail, "code" | "retry" | "hint"> {
  if (status === 260 || /ingestion blocked/.test(words)) {
    const hint = "ingestion of this tenant is blocked in Loki (block_ingestion_until): nothing was stored, all is kept and offered again";
    return { code: "loki_ingestion_blocked", retry: "denied", hint };
  }
  if (status === 401 || status === 403 || status === 407)
    return { code: "loki_unauthorized", retry: "denied", hint: unauthorizedHint(status, words) };
  if (status === 400 || status === 422)
    return { code: "loki_push_refused", retry: "denied", hint: `${refusedHint(words)}; all is kept and offered again` };
  if (status === 413) {
    const hint = "one entry is too large for Loki or for a proxy before it: raise its limit for bodies, or lower line_bytes_max";
    return { code: "loki_push_refused", retry: "denied", hint };
  }
  if (status === 404 || status === 405 || status === 410 || (status >= 300 && status < 400)) {
    return { code: "loki_wrong_url", retry: "denied", hint: "correct url: Loki's API must lie below it, at /loki/api/v1" };
  }
  if (status === 429) return { code: "loki_busy", retry: "later", hint: `${busyHint(words)}; it is tried again by itself` };
  if ((status >= 500 && status !== 501) || status === 408 || status === 425 || status === 499) {
    return { code: "loki_server_error", retry: "later", hint: "look at Loki's own log; it is tried again by itself" };
  }
  const hint = status === 415 ? "what stands before Loki does not take this encoding: set encoding: json" : "is it Loki that answers at url?";
  return { code: "loki_unexpected_answer", retry: "denied", hint };
}

function unauthorizedHint(status: number, words: string): string {
  if (status === 407) return "the proxy wants credentials: put them into HTTPS_PROXY or HTTP_PROXY";
  return words.includes("no org id")
    ? "this Loki keeps tenants apart: set tenant"
    : "check bearer_token_file or basic, and tenant; the files are read again by themselves";
}

/** What to change, as far as the words of a 400 tell. */
function refusedHint(words: string): string {
  if (/label names; limit/.test(words)) return "use fewer labels, or set labels_max to the server's max_label_names_per_series";
  if (/structured metadata, but this feature is disallowed/.test(words))
    return "let Loki take structured metadata (allow_structured_metadata), or set metadata: none";
  if (/missing required labels/.test(words)) return "this Loki wants certain labels: add them to labels";
  if (/label (?:name|value) too long|parse labels|duplicate label/.test(words)) return "correct labels, or what they are made of";
  if (/multiple org IDs/.test(words)) return "set tenant to one tenant";
  return "Loki's own words are in the message; look whether something on the way changes what is sent";
}

function busyHint(words: string): string {
  if (/stream limit/i.test(words)) return "too many streams for this tenant: use fewer labels, or labels with fewer values";
  if (/per stream rate limit/i.test(words)) return "one stream is too fast for its limit: spread it with a label, or raise per_stream_rate_limit";
  return "this tenant's ingestion limit is reached: raise ingestion_rate_mb and ingestion_burst_size_mb if it stays so";
}
