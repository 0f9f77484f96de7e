/**
 * How many refused records are still records that are bad, and not a far side that refuses everything: more than 10 and more
 * than 1 % of about the last 10,000 offered is too many, and so is every record of a batch of ten or more.
 */

const windowRecords = 10_000;
const refusedMin = 10;
const refusedShare = 0.01;

export class Tolerance {
  #offered = 0;
  #refused = 0;

  /** Whether `refused` of a batch of `records` would be too many. */
  exceeds(records: number, refused: number): boolean {
    if (refused === records && records >= refusedMin) return true;
    const all = this.#refused + refused;
    return refused > 0 && all > refusedMin && all > refusedShare * Math.max(this.#offered + records, 1);
  }

  /** A batch is over, `refused` of its records were given up. */
  add(records: number, refused: number): void {
    this.#offered += records;
    this.#refused += refused;
    // Older ones count half each time the window is full: a bound without a list.
    while (this.#offered > windowRecords) {
      this.#offered /= 2;
      this.#refused /= 2;
    }
  }
}
