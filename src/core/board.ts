/**
 * The board: what is wrong right now, by component and code; /health is drawn from it.
 *
 * A component raises a fault when it meets it and clears it when the same thing works again. Every raise is counted
 * by code; only a change of state is logged, so that a retry every second does not fill the journal.
 */
import type { Fault } from "./fault.ts";
import type { Log } from "./log.ts";

export type Severity = "degraded" | "failing";

/** One line of /health. `since` is RFC 3339. */
export interface Reason {
  component: string;
  code: string;
  message: string;
  hint: string;
  since: string;
  severity: Severity;
}

export interface Board {
  /** `component` as in the configuration: `sources.nginx`, `sinks.lake`, `spool`. `detail` tells two of one code apart (a path). */
  raise(component: string, severity: Severity, fault: Fault, detail?: string): void;
  /** Clears what was raised under these names; without `code`, all of the component. */
  clear(component: string, code?: string, detail?: string): void;
  /** Counts a fault that is over as soon as it happened (a damaged frame skipped, a line cut); logged once a minute at most. */
  count(component: string, fault: Fault, times?: number): void;
  reasons(): Reason[];
  /** Faults so far, by code. */
  counts(): Record<string, number>;
  /** Faults of one component so far. */
  countOf(component: string): number;
}

/** The same board for a component whose faults degrade health at most, whatever they are. */
export function degradedAtMost(board: Board): Board {
  return { ...board, raise: (component, _, fault, detail) => board.raise(component, "degraded", fault, detail) };
}

/** The same passing fault is logged this often at most: a file of broken lines must not fill the journal with its own. */
const tellMs = 60_000;

export function createBoard(log: Log, now: () => number): Board {
  const standing = new Map<string, Reason>();
  const counts: Record<string, number> = {};
  const keyOf = (component: string, code: string, detail: string): string => `${component}\n${code}\n${detail}`;
  const told = new Map<string, { atMs: number; more: number }>();
  const perComponent = new Map<string, number>();
  const add = (component: string, code: string, times: number): void => {
    counts[code] = (counts[code] ?? 0) + times;
    perComponent.set(component, (perComponent.get(component) ?? 0) + times);
  };
  return {
    raise(component, severity, fault, detail = "") {
      add(component, fault.code, 1);
      const key = keyOf(component, fault.code, detail);
      const before = standing.get(key);
      const since = before?.since ?? new Date(now()).toISOString();
      standing.set(key, { component, code: fault.code, message: fault.message, hint: fault.hint ?? "", since, severity });
      if (before !== undefined && before.severity === severity) return;
      const level = severity === "failing" ? "error" : "warn";
      log[level](fault.message, { component, code: fault.code, hint: fault.hint });
    },
    clear(component, code, detail) {
      for (const [key, reason] of standing) {
        if (reason.component !== component) continue;
        if (code !== undefined && reason.code !== code) continue;
        if (detail !== undefined && key !== keyOf(component, reason.code, detail)) continue;
        standing.delete(key);
        log.info("recovered", { component, code: reason.code });
      }
    },
    count(component, fault, times = 1) {
      add(component, fault.code, times);
      const key = keyOf(component, fault.code, "");
      const nowMs = now();
      const before = told.get(key);
      const more = (before?.more ?? 0) + times;
      if (before !== undefined && nowMs - before.atMs < tellMs) {
        told.set(key, { atMs: before.atMs, more });
        return;
      }
      told.set(key, { atMs: nowMs, more: 0 });
      log.warn(fault.message, { component, code: fault.code, hint: fault.hint, ...(more > 1 ? { times: more } : {}) });
    },
    reasons: () => [...standing.values()],
    counts: () => ({ ...counts }),
    countOf: (component) => perComponent.get(component) ?? 0,
  };
}
