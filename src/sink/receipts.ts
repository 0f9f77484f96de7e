/**
 * What has arrived, on its way into the journal: while many small batches come, their entries are written together, with one sync.
 *
 * Promise: an entry stands in the journal behind everything that had arrived before it was made, so that its `low` may count on it.
 */
import type { Clock } from "../core/clock.ts";
import type { Journal } from "./journal.ts";
import type { Entry } from "./ledger.ts";

/** Longest wait for others. A sync for each of many small batches would be a tenth of what they cost; a kill in between sends them again, under the same names. */
const togetherMs = 20;

export class Receipts {
  readonly #journal: Journal;
  readonly #clock: Clock;
  #arrived: { readonly entry: Entry; readonly resolve: () => void; readonly reject: (cause: unknown) => void }[] = [];

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal;
    this.#clock = clock;
  }

  /** Resolves when the entries are durable, and all that has arrived. */
  append(...entries: Entry[]): Promise<void> {
    const arrived = this.#arrived;
    this.#arrived = [];
    const written = this.#journal.append(...arrived.map(({ entry }) => entry), ...entries);
    for (const each of arrived) written.then(each.resolve, each.reject);
    return written;
  }

  /** Resolves when the entry of a batch that has arrived is durable; `patient`: others are about to come. */
  async arrived(entry: Entry, patient: boolean, kill: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#arrived.push({ entry, resolve, reject });
    if (!patient) void this.#write();
    else if (this.#arrived.length === 1) void this.#clock.sleep(togetherMs, kill).then(() => this.#write());
    await promise;
  }

  async #write(): Promise<void> {
    if (this.#arrived.length > 0) await this.append().catch(() => {}); // told to each whose entry it was
  }
}
