/** Backoff with full jitter: a fleet that was cut off together does not come back together. */

/**
 * Milliseconds to wait before try number `attempt` (0 is the first retry): uniform in [bound/2, bound], where bound is
 * `minMs` doubled for each attempt, at most `maxMs`. Half the bound is fixed, so that a retry is never immediate.
 */
export function backoffMs(attempt: number, minMs: number, maxMs: number, random: () => number): number {
  const bound = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
  return bound / 2 + (random() * bound) / 2;
}

/** An hour: beyond it a far side's wish is worth less than a try. */
const retryAfterMsMax = 3_600_000;

/** Milliseconds a `Retry-After` header asks to wait (RFC 9110: whole seconds or an HTTP date), at most an hour; undefined when it says nothing. */
export function retryAfterMs(header: string | null | undefined, nowMs: number): number | undefined {
  if (header === null || header === undefined) return undefined;
  const trimmed = header.trim();
  const ms = /^\d+$/.test(trimmed) ? Number(trimmed) * 1000 : Date.parse(trimmed) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), retryAfterMsMax);
}
