/** A set of 64-bit keys as pairs of 32-bit halves, open addressing in one array: 10.7 to 21.3 bytes an entry. */

const slotsMin = 64;

export class KeySet {
  size = 0;
  #slots: Uint32Array;

  constructor(expected = 0) {
    let slots = slotsMin;
    while (slots * 3 < expected * 4) slots *= 2;
    this.#slots = new Uint32Array(2 * slots);
  }

  /** Bytes it takes now. */
  get bytes(): number {
    return this.#slots.byteLength;
  }

  /** False when it was in already. Halves must not both be 0. */
  add(high: number, low: number): boolean {
    // Three in four: probes stay short with linear steps.
    if ((this.size + 1) * 8 > this.#slots.length * 3) this.#grow();
    if (!place(this.#slots, high, low)) return false;
    this.size++;
    return true;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Uint32Array(before.length * 2);
    for (let at = 0; at < before.length; at += 2) {
      const high = before[at] as number;
      const low = before[at + 1] as number;
      if (high !== 0 || low !== 0) place(this.#slots, high, low);
    }
  }
}

function place(slots: Uint32Array, high: number, low: number): boolean {
  const mask = slots.length - 2;
  for (let at = (low << 1) & mask; ; at = (at + 2) & mask) {
    const foundHigh = slots[at];
    const foundLow = slots[at + 1];
    if (foundHigh === 0 && foundLow === 0) {
      slots[at] = high;
      slots[at + 1] = low;
      return true;
    }
    if (foundHigh === high && foundLow === low) return false;
  }
}
