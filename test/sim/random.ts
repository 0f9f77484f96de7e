/** Chance by seed: the same seed draws the same, on every machine. */
import type { Random } from "../../src/core/random.ts";

/** splitmix32 over two words: small, good, and the same everywhere. */
export class Seeded implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b9) ^ 0x1234567;
    for (let i = 0; i < 4; i++) this.#next32();
  }

  #next32(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  }

  next(): number {
    return this.#next32() / 2 ** 32;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.#next32() & 255);
  }

  /** A whole number from 0 up to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** True with probability `share`. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }
}
