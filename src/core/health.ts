/**
 * Health, drawn from what is on the board and from what does not move: lag without progress is unhealthy, whatever else
 * looks alive.
 *
 * Promises: a pure function of its arguments; `failing` when any reason is, or when a component stalls; `degraded` when
 * there is any reason at all; what fails stands first. The watch beside it tells "has nothing to do" from "does nothing".
 */
import type { Reason, Severity } from "./board.ts";
import type { Health } from "./view.ts";

/** A component and how far behind it is. */
export interface Component {
  /** As in the configuration: `sinks.lake`. */
  readonly component: string;
  /** Bytes that wait for it. */
  readonly lag: number;
  /** When it last moved forward or last had nothing to do, whichever is later, on the monotonic clock. */
  readonly lastProgressMonotonicMs: number;
  /** How long it holds things by design (`batch.age_max` of a sink): waiting that long on purpose is no stall. Default 0. */
  readonly holdsMs?: number;
  /** What a stall of it does to health; `failing` where it is not said. */
  readonly severity?: Severity;
}

/** One moment on both clocks: ages are taken on the monotonic one, the other is only shown. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/**
 * The answer of /health. A component with lag and no progress for longer than `stalledAfterMs` (and what it holds by design)
 * adds a reason `stalled`, since its last progress. It fails health unless the component says otherwise.
 */
export function computeHealth(reasons: readonly Reason[], components: readonly Component[], now: Moment, stalledAfterMs: number): Health {
  const stalls = components.filter((each) => stalledForMs(each, now) > stalledAfterMs + (each.holdsMs ?? 0)).map((each) => stall(each, now));
  const all = [
    ...reasons.filter((reason) => reason.severity === "failing"),
    ...stalls.toSorted((a, b) => Number(b.severity === "failing") - Number(a.severity === "failing")),
    ...reasons.filter((reason) => reason.severity === "degraded"),
  ];
  const failing = all.some((reason) => reason.severity === "failing");
  return {
    state: failing ? "failing" : all.length > 0 ? "degraded" : "ok",
    reasons: all.map(({ component, code, message, hint, since }) => ({ component, code, message, hint, since })),
  };
}

function stalledForMs(component: Component, now: Moment): number {
  return component.lag > 0 ? now.monotonicMs - component.lastProgressMonotonicMs : 0;
}

function stall(component: Component, now: Moment): Reason {
  const forMs = stalledForMs(component, now);
  // Whole seconds: the two clocks differ by a fraction at every call, and one stall is to keep one `since`.
  const since = new Date(Math.round((now.wallMs - forMs) / 1000) * 1000).toISOString();
  return {
    component: component.component,
    code: "stalled",
    message: `no progress for ${Math.floor(forMs / 1000)} s with ${component.lag} bytes waiting`,
    hint: "look at the other reasons and at the last fault of this component in /status; what waits is kept",
    since,
    severity: component.severity ?? "failing",
  };
}

/**
 * Remembers when each component last moved. Look at all of them every few seconds, not only when somebody asks:
 * one that was idle for an hour has not stalled for an hour when its first byte comes.
 */
export class ProgressWatch {
  readonly #seen = new Map<string, { component: Component; position: number }>();

  /**
   * What is known of `component` now: its `lag` in bytes, and a `position` that changes whenever it gets something done
   * (bytes read, sequence delivered).
   */
  look(component: string, lag: number, position: number, monotonicMs: number, holdsMs = 0, severity: Severity = "failing"): void {
    const before = this.#seen.get(component);
    const moved = before === undefined || before.position !== position || before.component.lag === 0 || lag === 0;
    const lastProgressMonotonicMs = moved ? monotonicMs : before.component.lastProgressMonotonicMs;
    this.#seen.set(component, { component: { component, lag, lastProgressMonotonicMs, holdsMs, severity }, position });
  }

  /** A component that is no more. */
  forget(component: string): void {
    this.#seen.delete(component);
  }

  components(): Component[] {
    return [...this.#seen.values()].map((seen) => seen.component);
  }
}
