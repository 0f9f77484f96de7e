/**
 * A run that ends by itself (`--once`) waits for the sinks that are required for as long as it takes, and for the others only
 * while they get on: one that is dead must not keep a backfill or a cron job from its end.
 */
import type { Clock } from "../core/clock.ts";
import type { SinkRunner } from "../sink/deliver.ts";

export interface Waiting {
  readonly runner: Pick<SinkRunner, "status">;
  readonly required: boolean;
}

export interface Patience {
  readonly clock: Clock;
  /** How long none of them may deliver anything, once the required ones have all. */
  readonly patienceMs: number;
  /** Aborted: the end has come otherwise. */
  readonly over: AbortSignal;
}

const lookMs = 100;

/** Aborts `left` as soon as only sinks that are not required are behind and none of them has moved for `patienceMs`. Resolves then, or with `delivered`. */
export async function giveUpOptional(
  sinks: ReadonlyMap<string, Waiting>,
  delivered: Promise<void>,
  left: AbortController,
  { clock, patienceMs, over }: Patience,
): Promise<void> {
  const all = [...sinks.values()];
  if (all.every(({ required }) => required)) return;
  const ended = new AbortController();
  const end = (): void => ended.abort();
  delivered.then(end, end);
  let before = -1;
  let sinceMs = clock.monotonic();
  while (!ended.signal.aborted && !over.aborted) {
    const statuses = all.map(({ runner, required }) => ({ required, ...runner.status() }));
    const waits = statuses.some(({ required, state }) => required && state !== "stopped");
    // What was dropped for one is progress too: it is not behind by that any more.
    const moved = statuses.reduce((sum, { records, dropped_records = 0 }) => sum + records + dropped_records, 0);
    if (waits || moved !== before) sinceMs = clock.monotonic();
    before = moved;
    if (clock.monotonic() - sinceMs >= patienceMs) {
      left.abort();
      return;
    }
    await clock.sleep(lookMs, ended.signal, over);
  }
}
