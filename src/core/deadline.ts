/** A time limit for one try, on the monotonic clock door, so that the simulation decides when it has passed. */
import type { Clock } from "./clock.ts";

/** Why a try was cut; the signal handed to `work` has it as its reason. */
export class Cut extends Error {
  override readonly name = "Cut";
}

/**
 * Runs `work` with a signal that is aborted once `ms` have passed or `kill` is aborted, and settles as `work` does.
 * Rejects with `Cut` (`no answer within 60 s`, `cut by shutdown`) when `work` rejects after that. Leaves no listener behind.
 */
export async function withDeadline<T>(clock: Clock, ms: number, kill: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const cut = new AbortController();
  const over = new AbortController();
  const onKill = (): void => cut.abort(new Cut("cut by shutdown"));
  if (kill.aborted) onKill();
  kill.addEventListener("abort", onKill, { once: true });
  void clock.sleep(ms, over.signal).then(() => {
    if (!over.signal.aborted) cut.abort(new Cut(`no answer within ${seconds(ms)} s`));
  });
  try {
    return await work(cut.signal);
  } catch (cause) {
    if (cut.signal.aborted) throw cut.signal.reason;
    throw cause;
  } finally {
    over.abort();
    kill.removeEventListener("abort", onKill);
  }
}

function seconds(ms: number): string {
  return ms < 10_000 ? String(Math.round(ms / 100) / 10) : String(Math.round(ms / 1000));
}
