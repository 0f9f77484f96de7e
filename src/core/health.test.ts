/** Health tells the truth: a table of what is on the board and what does not move, and the state it must give. */
import { describe, expect, test } from "bun:test";
import type { Reason, Severity } from "./board.ts";
import { computeHealth, ProgressWatch, type Component } from "./health.ts";

const stalledAfterMs = 120_000;
const wallMs = Date.parse("2026-11-23T01:30:00.400Z");
const at = (monotonicMs: number) => ({ monotonicMs, wallMs });

function reason(code: string, severity: Severity): Reason {
  return { component: "sinks.lake", code, message: `the ${code}`, hint: "do this", since: "2026-11-23T01:00:00.000Z", severity };
}

function component(lag: number, lastProgressMonotonicMs: number, holdsMs?: number): Component {
  return { component: "sinks.lake", lag, lastProgressMonotonicMs, ...(holdsMs === undefined ? {} : { holdsMs }) };
}

describe("computeHealth", () => {
  test("is ok with nothing on the board and nothing behind", () => {
    expect(computeHealth([], [component(0, 0)], at(1e9), stalledAfterMs)).toEqual({ state: "ok", reasons: [] });
  });

  test("is degraded by any reason, and shows it without its severity", () => {
    expect(computeHealth([reason("s3_slow_down", "degraded")], [], at(0), stalledAfterMs)).toEqual({
      state: "degraded",
      reasons: [{ component: "sinks.lake", code: "s3_slow_down", message: "the s3_slow_down", hint: "do this", since: "2026-11-23T01:00:00.000Z" }],
    });
  });

  test("is failing when one of several reasons is, which then stands first", () => {
    const health = computeHealth([reason("s3_slow_down", "degraded"), reason("s3_access_denied", "failing")], [], at(0), stalledAfterMs);
    expect(health.state).toBe("failing");
    expect(health.reasons.map((each) => each.code)).toEqual(["s3_access_denied", "s3_slow_down"]);
  });

  test("a component that may only degrade does so when it stalls, behind one that fails", () => {
    const optional = { ...component(4096, 0), component: "sinks.extra", severity: "degraded" as const };
    expect(computeHealth([], [optional], at(150_000), stalledAfterMs).state).toBe("degraded");
    const both = computeHealth([], [optional, component(4096, 0)], at(150_000), stalledAfterMs);
    expect({ state: both.state, order: both.reasons.map((each) => each.component) }).toEqual({
      state: "failing",
      order: ["sinks.lake", "sinks.extra"],
    });
  });

  test("is failing when lag stands for longer than stalled_after, and says for how long and how much", () => {
    const health = computeHealth([], [component(4096, 1000)], at(1000 + 150_000), stalledAfterMs);
    expect(health.state).toBe("failing");
    expect(health.reasons).toHaveLength(1);
    expect(health.reasons[0]).toMatchObject({
      component: "sinks.lake",
      code: "stalled",
      message: "no progress for 150 s with 4096 bytes waiting",
      since: "2026-11-23T01:27:30.000Z",
    });
    expect(health.reasons[0]?.hint).not.toBe("");
  });

  test("is ok up to stalled_after, whatever the lag", () => {
    expect(computeHealth([], [component(1e12, 0)], at(stalledAfterMs), stalledAfterMs).state).toBe("ok");
    expect(computeHealth([], [component(1e12, 0)], at(stalledAfterMs + 1), stalledAfterMs).state).toBe("failing");
  });

  test("is ok without lag, however long nothing moved", () => {
    expect(computeHealth([], [component(0, 0)], at(1e12), stalledAfterMs).state).toBe("ok");
  });

  test("gives a sink the time it holds a batch open on purpose", () => {
    expect(computeHealth([], [component(10, 0, 300_000)], at(420_000), stalledAfterMs).state).toBe("ok");
    expect(computeHealth([], [component(10, 0, 300_000)], at(420_001), stalledAfterMs).state).toBe("failing");
  });
});

describe("ProgressWatch", () => {
  const healthOf = (watch: ProgressWatch, nowMs: number) => computeHealth([], watch.components(), at(nowMs), stalledAfterMs).state;

  test("a component that was idle for an hour has not stalled when its first byte waits", () => {
    const watch = new ProgressWatch();
    watch.look("sinks.lake", 0, 7, 0);
    watch.look("sinks.lake", 100, 7, 3_600_000);
    expect(healthOf(watch, 3_600_000 + stalledAfterMs)).toBe("ok");
  });

  test("a component with lag that does not move stalls, and one that moves does not", () => {
    const watch = new ProgressWatch();
    for (let ms = 0; ms <= 130_000; ms += 5000) {
      watch.look("sinks.lake", 100, 7, ms);
      watch.look("sinks.central", 100, ms, ms);
    }
    const health = computeHealth([], watch.components(), at(130_000), stalledAfterMs);
    expect(health.reasons.map((each) => each.component)).toEqual(["sinks.lake"]);
  });

  test("one step forward, or a moment without lag, ends the stall", () => {
    for (const [lag, position] of [
      [100, 8],
      [0, 7],
    ] as const) {
      const watch = new ProgressWatch();
      watch.look("sinks.lake", 100, 7, 0);
      watch.look("sinks.lake", 100, 7, 130_000);
      expect(healthOf(watch, 130_000)).toBe("failing");
      watch.look("sinks.lake", lag, position, 131_000);
      expect(healthOf(watch, 131_000)).toBe("ok");
    }
  });

  test("a component that is no more is forgotten", () => {
    const watch = new ProgressWatch();
    watch.look("sinks.lake", 100, 7, 0);
    watch.forget("sinks.lake");
    expect(watch.components()).toEqual([]);
  });
});
