/**
 * The simulated world's loop: everything that takes time in it (a write, a sync, an answer, a timer) is an event that waits
 * here, and one at a time is let happen, by chance or by time. The same seed gives the same run, to the byte.
 *
 * The code under test is the real one; it only ever waits for promises of the simulated doors, so once the microtasks have
 * run dry nothing moves until the next event.
 */
import type { Clock } from "../../src/core/clock.ts";
import type { Random } from "../../src/core/random.ts";

/** splitmix64, reduced to 32 bits: small, good, and the same everywhere. Source: Steele, Lea, Flood, OOPSLA 2014. */
export class Seeded implements Random {
  #state: bigint;

  constructor(seed: number) {
    this.#state = BigInt(seed) * 0x9e3779b97f4a7c15n + 0x1234567n;
  }

  #next32(): number {
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn;
    let z = this.#state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & 0xffffffffffffffffn;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & 0xffffffffffffffffn;
    return Number((z ^ (z >> 31n)) & 0xffffffffn);
  }

  next(): number {
    return this.#next32() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#next32() & 255);
  }

  /** A whole number from 0 up to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** True with probability `share`. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.below(items.length)];
  }
}

interface Event {
  readonly what: string;
  readonly happen: () => void;
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly resolve: () => void;
}

/** The process the code under test lives in: when it dies, nothing it waits for ever happens. */
export class World {
  readonly random: Seeded;
  /** The last of what happened, for the trace of a failure. */
  readonly trace: string[] = [];
  #events: Event[] = [];
  #timers: Timer[] = [];
  #nowMs = 1_700_000_000_000;
  #order = 0;
  #life = 0;

  constructor(seed: number) {
    this.random = new Seeded(seed);
  }

  note(what: string): void {
    this.trace.push(`${((this.#nowMs - 1_700_000_000_000) / 1000).toFixed(3)} ${what}`);
    if (this.trace.length > 60) this.trace.shift();
  }

  /** `effect` happens at some later moment; the promise settles with what it gives or throws. Never, if the process died before. */
  later<T>(what: string, effect: () => T): Promise<T> {
    const life = this.#life;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#events.push({
      what,
      happen: () => {
        if (life !== this.#life) return;
        try {
          resolve(effect());
        } catch (cause) {
          reject(cause);
        }
      },
    });
    return promise;
  }

  /** As `later`, but it happens even when the process that asked has died: what is on its way arrives. */
  launched(what: string, effect: () => void): void {
    this.#events.push({ what, happen: effect });
  }

  readonly clock: Clock = {
    now: () => this.#nowMs,
    monotonic: () => this.#nowMs - 1_699_999_000_000,
    sleep: (ms, ...signals) => {
      if (signals.some((signal) => signal.aborted)) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer: Timer = {
        dueMs: this.#nowMs + ms,
        order: this.#order++,
        resolve: () => {
          for (const signal of signals) signal.removeEventListener("abort", cut);
          resolve();
        },
      };
      const cut = (): void => {
        this.#timers = this.#timers.filter((other) => other !== timer);
        timer.resolve();
      };
      for (const signal of signals) signal.addEventListener("abort", cut, { once: true });
      this.#timers.push(timer);
      return promise;
    },
  };

  /** The process dies here: what it waits for never comes. What it has launched still may. */
  die(): void {
    this.#life++;
    this.#timers = [];
  }

  /**
   * Lets one event happen: as a rule one of those that wait, sometimes a timer though others wait (a slow disk). False when
   * nothing waits at all: the code under test hangs.
   */
  async step(): Promise<boolean> {
    await settled();
    const waiting = this.#events.length;
    if (waiting > 0 && (this.#timers.length === 0 || !this.random.chance(0.05))) {
      const [event] = this.#events.splice(this.random.below(Math.min(waiting, 8)), 1);
      this.#nowMs += this.random.below(4) * 0.25;
      event?.happen();
    } else if (this.#timers.length > 0) {
      const next = this.#timers.reduce((a, b) => (b.dueMs < a.dueMs || (b.dueMs === a.dueMs && b.order < a.order) ? b : a));
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.resolve();
    } else return false;
    await settled();
    return true;
  }
}

/** Resolves once every microtask has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
