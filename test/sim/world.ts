/**
 * The simulated world's loop: everything that takes time in it (a write, a sync, an answer, a timer) is an event that waits
 * here, and one at a time is let happen, by chance or by time. The same seed gives the same run, to the byte.
 *
 * The code under test is the real one; it only ever waits for promises of the simulated doors, so once the microtasks have
 * run dry nothing moves until the next event. They are drained by hand: a step then costs microseconds, and no test sleeps.
 */
import { drainMicrotasks } from "bun:jsc";
import type { Clock } from "../../src/core/clock.ts";
import { Seeded } from "./random.ts";

export { Seeded };

interface Event {
  readonly what: string;
  /** Whose it is; it never happens once that life is over. Undefined: it is on its way whatever becomes of the sender. */
  readonly life: Life | undefined;
  readonly happen: () => void;
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  readonly life: Life;
  readonly resolve: () => void;
}

const beganMs = 1_700_000_000_000;
/** How many of the waiting events may overtake each other. */
const reordered = 8;
const eventsKept = 24;
const notesKept = 24;

export class World {
  readonly random: Seeded;
  steps = 0;
  #events: Event[] = [];
  #timers: Timer[] = [];
  #nowMs = beganMs;
  #order = 0;
  readonly #recent: string[] = [];
  readonly #notes: string[] = [];

  constructor(seed: number) {
    this.random = new Seeded(seed);
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** A turn of the story, for the trace of a failure. */
  note(what: string): void {
    keep(this.#notes, this.#stamped(what), notesKept);
  }

  /** The story so far in few lines: its turns, then the last events before the end. */
  trace(): string {
    return ["turns:", ...this.#notes, "last events:", ...this.#recent].join("\n  ");
  }

  #stamped(what: string): string {
    return `${((this.#nowMs - beganMs) / 1000).toFixed(3)} ${what}`;
  }

  add(event: Event): void {
    this.#events.push(event);
  }

  /** On its way: happens even when the process that asked has died. */
  launched(what: string, happen: () => void): void {
    this.#events.push({ what, life: undefined, happen });
  }

  /** How much is on its way whoever asked for it. */
  flying(): number {
    return this.#events.filter(({ life }) => life === undefined).length;
  }

  sleep(life: Life, ms: number, signals: readonly AbortSignal[]): Promise<void> {
    if (signals.some((signal) => signal.aborted)) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cut = (): void => {
      this.#timers = this.#timers.filter((other) => other !== timer);
      timer.resolve();
    };
    const timer: Timer = {
      dueMs: this.#nowMs + ms,
      order: this.#order++,
      life,
      resolve: () => {
        for (const signal of signals) signal.removeEventListener("abort", cut);
        resolve();
      },
    };
    for (const signal of signals) signal.addEventListener("abort", cut, { once: true });
    this.#timers.push(timer);
    return promise;
  }

  forget(life: Life): void {
    this.#events = this.#events.filter((event) => event.life !== life);
    this.#timers = this.#timers.filter((timer) => timer.life !== life);
  }

  /**
   * Lets one event happen: as a rule one of those that wait, sometimes a timer though others wait (a slow disk). False when
   * nothing waits at all: the code under test hangs.
   */
  step(): boolean {
    drainMicrotasks();
    const waiting = this.#events.length;
    if (waiting > 0 && (this.#timers.length === 0 || !this.random.chance(0.05))) {
      const [event] = this.#events.splice(this.random.below(Math.min(waiting, reordered)), 1);
      this.#nowMs += this.random.below(4) * 0.25;
      keep(this.#recent, this.#stamped(event?.what ?? ""), eventsKept);
      event?.happen();
    } else if (this.#timers.length > 0) {
      const next = this.#timers.reduce((a, b) => (b.dueMs < a.dueMs || (b.dueMs === a.dueMs && b.order < a.order) ? b : a));
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.resolve();
    } else return false;
    this.steps++;
    drainMicrotasks();
    return true;
  }
}

/** A process: when it dies, nothing it waits for ever happens. */
export class Life {
  readonly name: string;
  readonly world: World;
  #over = false;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
  }

  /** `effect` happens at some later moment; the promise settles with what it gives or throws. Never, if the process died before. */
  later<T>(what: string, effect: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const happen = (): void => {
      try {
        resolve(effect());
      } catch (cause) {
        reject(cause);
      }
    };
    if (!this.#over) this.world.add({ what: `${this.name} ${what}`, life: this, happen });
    return promise;
  }

  readonly clock: Clock = {
    now: () => this.world.nowMs(),
    monotonic: () => this.world.nowMs() - beganMs + 1000,
    sleep: (ms, ...signals) => this.world.sleep(this, ms, signals),
  };

  die(): void {
    this.#over = true;
    this.world.forget(this);
  }
}

function keep(lines: string[], line: string, countMax: number): void {
  lines.push(line);
  if (lines.length > countMax) lines.shift();
}
