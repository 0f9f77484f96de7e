/** A fixed set of equal buffers, lent first come, first served: the bound on what sources hold in memory. */
import { orAborted } from "./signals.ts";

export class Buffers {
  readonly bytesEach: number;
  readonly #countMax: number;
  #made = 0;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((buffer: Uint8Array) => void)[] = [];

  /** At most `countMax` buffers of `bytesEach`, made when first needed. */
  constructor(bytesEach: number, countMax: number) {
    this.bytesEach = bytesEach;
    this.#countMax = countMax;
  }

  /** A buffer with any content if one is free now; whoever waits has been served before. */
  takeFree(): Uint8Array | undefined {
    if (this.#free.length === 0 && this.#made < this.#countMax) {
      this.#made++;
      return new Uint8Array(this.bytesEach);
    }
    return this.#free.pop();
  }

  /** A buffer with any content, or undefined when a signal is aborted before one is free. */
  async take(...signals: AbortSignal[]): Promise<Uint8Array | undefined> {
    const free = this.takeFree();
    if (free !== undefined) return free;
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    this.#waiting.push(resolve);
    const taken = await orAborted(promise, ...signals);
    if (taken === undefined) {
      const at = this.#waiting.indexOf(resolve);
      if (at >= 0) this.#waiting.splice(at, 1);
      else
        promise.then(
          (buffer) => this.give(buffer),
          () => {},
        ); // handed over in the same moment: pass it on
    }
    return taken;
  }

  /** Gives back a buffer that came from `take`; it must not be touched any more. */
  give(buffer: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(buffer);
    else next(buffer);
  }
}
