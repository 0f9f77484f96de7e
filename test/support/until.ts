/** Waits for a condition, never for a time. */

/** Generous: it is only ever reached by a test that fails. Two slow cores and eight other processes still make it. */
const deadlineMs = 60_000;
const pollMs = 10;

/**
 * Resolves with the first value of `condition` that is neither undefined, null nor false. A throw counts as "not yet".
 * Rejects after a minute with `what` and the last thing the condition threw or gave.
 */
export async function until<T>(condition: () => T | Promise<T>, what: string, msMax = deadlineMs): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + msMax;
  let last: unknown;
  while (performance.now() < end) {
    try {
      last = await condition();
      if (last !== undefined && last !== null && last !== false) return last as NonNullable<Exclude<T, false>>;
    } catch (cause) {
      last = cause;
    }
    await Bun.sleep(pollMs);
  }
  throw new Error(`never happened within ${msMax} ms: ${what} (last: ${last instanceof Error ? last.message : JSON.stringify(last)})`);
}
