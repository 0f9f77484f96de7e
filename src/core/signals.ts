/**
 * Stopping: `stop` asks a component to finish what it holds, `kill` to give up at once.
 *
 * Both are passed down, never global. Whoever waits takes a signal and removes its listener again: one left on a
 * long-lived signal is walked at every later add and grows quadratically.
 */

export interface Signals {
  readonly stop: AbortSignal;
  readonly kill: AbortSignal;
}

/** Settles as `promise` does, or resolves `undefined` as soon as one of `signals` is aborted. Leaves no listener behind. */
export async function orAborted<T>(promise: Promise<T>, ...signals: AbortSignal[]): Promise<T | undefined> {
  if (signals.some((signal) => signal.aborted)) {
    promise.catch(() => {}); // its owner reports it; here nobody waits for it any more
    return undefined;
  }
  const { promise: cut, resolve } = Promise.withResolvers<undefined>();
  const listener = (): void => resolve(undefined);
  for (const signal of signals) signal.addEventListener("abort", listener, { once: true });
  try {
    return await Promise.race([promise, cut]);
  } finally {
    for (const signal of signals) signal.removeEventListener("abort", listener);
  }
}

/**
 * A place to wait until something changed: `wait` resolves at the next `notify` after the call.
 * One promise is shared by all who wait, so that a thousand waiters cost one allocation.
 */
export class Changed {
  #next = Promise.withResolvers<void>();

  notify(): void {
    const current = this.#next;
    this.#next = Promise.withResolvers<void>();
    current.resolve();
  }

  /** Resolves at the next `notify`, or when one of `signals` is aborted, whichever is first. */
  async wait(...signals: AbortSignal[]): Promise<void> {
    await orAborted(this.#next.promise, ...signals);
  }
}
