/** Door to time. Ages run on the monotonic clock; wall time is only ever shown or written into records. */

export interface Clock {
  /** Wall time, milliseconds since 1970 with a fraction down to the microsecond. */
  now(): number;
  /** Milliseconds since some fixed moment of this process; never goes back. */
  monotonic(): number;
  /** Resolves after `ms`, or at once when one of `signals` is aborted. */
  sleep(ms: number, ...signals: AbortSignal[]): Promise<void>;
}

/** How far the two clocks may drift apart before the wall clock is taken to have been set, in milliseconds. */
const driftMsMax = 5;
let wallOffsetMs = performance.timeOrigin;

/** `Date.now()` has whole milliseconds only: the monotonic clock gives the rest, anchored anew whenever the wall clock was set. */
function wallNow(): number {
  const monotonic = performance.now();
  const wall = Date.now();
  if (Math.abs(wallOffsetMs + monotonic - wall) > driftMsMax) wallOffsetMs = wall - monotonic;
  return wallOffsetMs + monotonic;
}

export const systemClock: Clock = {
  now: wallNow,
  monotonic: () => performance.now(),
  sleep(ms, ...signals) {
    if (signals.some((signal) => signal.aborted)) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        for (const signal of signals) signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      for (const signal of signals) signal.addEventListener("abort", done, { once: true });
    });
  },
};
