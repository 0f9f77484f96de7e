/** Backoff with full jitter: a fleet that was cut off together does not come back together. */

/**
 * Milliseconds to wait before try number `attempt` (0 is the first retry): uniform in [bound/2, bound], where bound is
 * `minMs` doubled for each attempt, at most `maxMs`. Half the bound is fixed, so that a retry is never immediate.
 */
export function backoffMs(attempt: number, minMs: number, maxMs: number, random: () => number): number {
  const bound = Math.min(maxMs, minMs * 2 ** Math.min(attempt, 30));
  return bound / 2 + (random() * bound) / 2;
}
