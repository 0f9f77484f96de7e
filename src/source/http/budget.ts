/** The bound on bodies in memory, all requests together: what does not fit is answered 503 before it is read further. */

/** Four bodies of the default size at once, or a thousand of 64 KiB. */
const bodiesBytesMax = 64 * 1024 * 1024;

/** What one request holds; given back when it is disposed. */
export interface Lease extends Disposable {
  /** Takes `bytes` more; false (and nothing taken) when they are not free. */
  grow(bytes: number): boolean;
  /** Is not given back before `work` has settled. */
  holdFor(work: Promise<unknown>): void;
}

export class Budget {
  readonly #bytesMax: number;
  #bytes = 0;

  /** `bodyBytesMax` is the largest body: one of them, as sent and decoded, always fits. */
  constructor(bodyBytesMax: number) {
    this.#bytesMax = Math.max(bodiesBytesMax, 2 * bodyBytesMax);
  }

  /** Bytes held by all. */
  get bytes(): number {
    return this.#bytes;
  }

  lease(): Lease {
    let held = 0;
    let until: Promise<unknown> = Promise.resolve();
    const give = (): void => {
      this.#bytes -= held;
      held = 0;
    };
    return {
      grow: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax) return false;
        this.#bytes += bytes;
        held += bytes;
        return true;
      },
      holdFor(work) {
        until = work;
      },
      [Symbol.dispose]() {
        until.then(give, give);
      },
    };
  }
}

/** Lets so many in at once, first come, first served. */
export class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
