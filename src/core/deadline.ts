/** A time limit for one try, on the monotonic clock door, so that the simulation decides when it has passed. */
import type { Clock } from "./clock.ts";

/** Why a try was cut; the signal handed to `work` has it as its reason. */
export class Cut extends Error {
  override readonly name = "Cut";
}

/**
 * Runs `work` with a signal that is aborted once `ms` have passed or `kill` is aborted, and settles as `work` does.
 * After an abort it rejects with `Cut` (`no answer within 60 s`, `cut by shutdown`) at once: it does not wait for work that
 * ignores its signal. Leaves no listener behind.
 */
export async function withDeadline<T>(clock: Clock, ms: number, kill: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const cut = new AbortController();
  const over = new AbortController();
  const { promise: wasCut, reject } = Promise.withResolvers<never>();
  const give = (reason: string): void => {
    const cause = new Cut(reason);
    reject(cause);
    cut.abort(cause);
  };
  const onKill = (): void => give("cut by shutdown");
  wasCut.catch(() => {}); // nobody waits for it once the work has settled
  if (kill.aborted) onKill();
  else kill.addEventListener("abort", onKill, { once: true });
  void clock.sleep(ms, over.signal).then(() => {
    if (!over.signal.aborted) give(`no answer within ${seconds(ms)} s`);
  });
  try {
    return await Promise.race([wasCut, work(cut.signal)]);
  } finally {
    over.abort();
    kill.removeEventListener("abort", onKill);
  }
}

function seconds(ms: number): string {
  return ms < 10_000 ? String(Math.round(ms / 100) / 10) : String(Math.round(ms / 1000));
}
