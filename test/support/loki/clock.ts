/** Simulated time: stands still until it is let on, then goes from timer to timer, with everything settled in between. */
import type { Clock } from "../../../src/core/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly ring: () => void;
}

export class SimulatedClock implements Clock {
  #nowMs: number;
  #order = 0;
  #timers: Timer[] = [];

  constructor(startMs = 1_795_404_760_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  sleep(ms: number, ...signals: AbortSignal[]): Promise<void> {
    if (signals.some((signal) => signal.aborted)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const ring = (): void => {
      for (const signal of signals) signal.removeEventListener("abort", cut);
      resolve();
    };
    const timer: Timer = { dueMs: this.#nowMs + ms, order: this.#order++, ring };
    const cut = (): void => {
      this.#timers = this.#timers.filter((other) => other !== timer);
      ring();
    };
    for (const signal of signals) signal.addEventListener("abort", cut, { once: true });
    this.#timers.push(timer);
    return promise;
  }

  /** Lets `ms` pass, or less when `enough` says so. */
  async pass(ms: number, enough: () => boolean = () => false): Promise<void> {
    const end = this.#nowMs + ms;
    await settled();
    while (!enough()) {
      const next = this.#timers.reduce<Timer | undefined>(
        (first, timer) =>
          first === undefined || timer.dueMs < first.dueMs || (timer.dueMs === first.dueMs && timer.order < first.order) ? timer : first,
        undefined,
      );
      if (next === undefined || next.dueMs > end) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.ring();
      await settled();
    }
    if (!enough()) this.#nowMs = Math.max(this.#nowMs, end);
  }
}

/** Resolves once every microtask has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
