/**
 * One look at all that a running logferry says of itself, held against itself: /health, /ready, /status and /metrics must agree,
 * and each reason must be one that a stranger can act on.
 */
import { expect } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Health, Status } from "../../src/core/view.ts";
import { until } from "./until.ts";

const guide = await readFile(join(import.meta.dir, "../../docs/operating.md"), "utf8");

export interface Look {
  readonly live: number;
  readonly ready: number;
  readonly health: number;
  readonly state: Health["state"];
  readonly reasons: Health["reasons"];
  readonly status: Status;
  /** The value of a sample by its whole name, labels included; undefined when there is none. */
  metric(name: string): number | undefined;
}

/** Asks everything over the control socket. */
export async function look(socket: string): Promise<Look> {
  const get = (path: string): Promise<Response> => fetch(`http://localhost${path}`, { unix: socket });
  const [live, ready, health, status, metrics] = await Promise.all(["/live", "/ready", "/health", "/status", "/metrics"].map(get));
  const { state, reasons } = (await health!.json()) as Health;
  const text = await metrics!.text();
  return {
    live: live!.status,
    ready: ready!.status,
    health: health!.status,
    state,
    reasons,
    status: (await status!.json()) as Status,
    metric(name) {
      const line = text.split("\n").find((each) => each.startsWith(`${name} `));
      return line === undefined ? undefined : Number(line.slice(name.length + 1));
    },
  };
}

type Reason = Health["reasons"][number];

/**
 * Waits until `code` stands against `component`, as `state`, and returns the look. What it says must agree everywhere, and the
 * reason must say what, where, why and how to mend it: `says` are words that its message and hint together hold.
 */
export async function standing(socket: string, component: string, code: string, state: Health["state"], says: readonly string[]): Promise<Look> {
  let last: Look["reasons"] = [];
  const find = (reason: Reason): boolean =>
    reason.component === component && reason.code === code && says.every((word) => `${reason.message} → ${reason.hint}`.includes(word));
  const seen = await until(
    async () => {
      const each = await look(socket);
      last = each.reasons;
      return each.reasons.some(find) && agrees(each, code, state) ? each : undefined;
    },
    `${component} says ${code} with ${says.join(", ")} and health is ${state}, in every answer`,
    20_000,
  ).catch((cause: unknown) => {
    throw new Error(`${String(cause)}; it said ${JSON.stringify(last, null, 1)}`);
  });
  judge(seen.reasons.find(find) ?? {});
  expect(seen.live).toBe(200);
  return seen;
}

/** Whether every answer of the look says the same. Five requests are five moments: what has just changed is in some of them only. */
function agrees(seen: Look, code: string, expected: Health["state"]): boolean {
  return (
    seen.state === expected &&
    seen.status.state === expected &&
    seen.health === (expected === "failing" ? 503 : 200) &&
    seen.metric(`logferry_health{state="${expected}"}`) === 1 &&
    (seen.metric(`logferry_faults_total{code="${code}"}`) ?? 0) >= 1 &&
    (seen.status.faults[code] ?? 0) >= 1
  );
}

/** A reason that helps: a code with a row in the operating guide, a cause in words, a hint, a time. */
export function judge({ code, message, hint, since = "" }: Partial<Reason>): void {
  expect(guide).toContain(`\n| \`${code}\` |`);
  expect(message).toMatch(/\w+ \S+/);
  expect(`${message} ${hint}`).not.toMatch(/undefined|\[object|NaN|Error:/);
  expect(hint).toMatch(/\w+ \w+ \w+/);
  if (since !== "") expect(Date.parse(since)).toBeGreaterThan(0);
}

/** Waits until nothing stands against anybody any more, everywhere, with nothing left to deliver. */
export function recovered(socket: string): Promise<Look> {
  return until(async () => {
    const each = await look(socket);
    const lags = [...Object.values(each.status.sources), ...Object.values(each.status.sinks)].map(({ lag_bytes }) => lag_bytes);
    const ok =
      each.state === "ok" &&
      each.health === 200 &&
      each.ready === 200 &&
      each.reasons.length === 0 &&
      each.metric('logferry_health{state="ok"}') === 1;
    return ok && lags.every((lag) => lag === 0) ? each : undefined;
  }, "health is ok again and all is delivered");
}
