/**
 * Seeded randomness for the corpora: the same seed gives the same file on every machine.
 *
 * xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018), its state filled by
 * splitmix32. A weak generator repeats patterns that a codec finds, and then every ratio measured here would flatter.
 */

const two32 = 2 ** 32;

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    let state = seed | 0;
    const splitmix = (): number => {
      state = (state + 0x9e3779b9) | 0;
      let mixed = state ^ (state >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = splitmix();
    this.#b = splitmix();
    this.#c = splitmix();
    this.#d = splitmix();
  }

  /** 32 random bits as a whole number. */
  bits(): number {
    const scrambled = Math.imul(this.#b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result >>> 0;
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.bits() / two32;
  }

  /** A whole number in [0, count). */
  below(count: number): number {
    return Math.floor((this.bits() / two32) * count);
  }

  /** True in `share` of the cases. */
  chance(share: number): boolean {
    return this.bits() < share * two32;
  }

  /** Exponential with mean `mean`: gaps between events that know nothing of each other. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean;
  }
}

/** Draws ranks with weight 1 / (rank + 1)^exponent: how paths, users and templates are spread in real logs. Alias method, constant time. */
export class Zipf {
  readonly count: number;
  readonly #share: Float64Array;
  readonly #alias: Uint32Array;

  constructor(count: number, exponent: number) {
    this.count = count;
    this.#share = new Float64Array(count).fill(1);
    this.#alias = new Uint32Array(count);
    const weights = Float64Array.from({ length: count }, (_, rank) => (rank + 1) ** -exponent);
    const scale = count / weights.reduce((sum, weight) => sum + weight, 0);
    const small: number[] = [];
    const large: number[] = [];
    weights.forEach((weight, rank) => {
      weights[rank] = weight * scale;
      (weight * scale < 1 ? small : large).push(rank);
    });
    // Each column holds one rank up to its share and a second one above it (Vose, 1991).
    while (small.length > 0 && large.length > 0) {
      const low = small.pop() as number;
      const high = large[large.length - 1] as number;
      this.#share[low] = weights[low] as number;
      this.#alias[low] = high;
      const rest = (weights[high] as number) + (weights[low] as number) - 1;
      weights[high] = rest;
      if (rest < 1) small.push(large.pop() as number);
    }
  }

  /** A rank in [0, count). */
  rank(random: Random): number {
    const column = random.below(this.count);
    return random.unit() < (this.#share[column] as number) ? column : (this.#alias[column] as number);
  }
}

/** Values drawn by Zipf; which of them are frequent depends on their order. */
export class Choice<T> {
  readonly #values: readonly T[];
  readonly #zipf: Zipf;

  constructor(values: readonly T[], exponent: number) {
    this.#values = values;
    this.#zipf = new Zipf(values.length, exponent);
  }

  pick(random: Random): T {
    return this.#values[this.#zipf.rank(random)] as T;
  }
}
