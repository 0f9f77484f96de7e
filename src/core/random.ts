/** Door to chance: identities and jitter. The simulation puts a seeded one here. */

export interface Random {
  /** `count` random bytes, fit for identities. */
  bytes(count: number): Uint8Array;
  /** Uniform in [0, 1), for jitter. */
  next(): number;
}

export const systemRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  next: () => Math.random(),
};
