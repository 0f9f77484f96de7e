/** A batch for a test of a sink: the contract's, over bytes at hand, with a note that is kept like the journal's. */
import { createHash } from "node:crypto";
import type { Batch, Json } from "../../src/core/contract.ts";
import type { Signals } from "../../src/core/signals.ts";

export interface TestBatch extends Batch {
  /** What `setNote` was given so far. */
  readonly notes: Json[];
}

/** `pieces` is the body as it is streamed; its digest and length follow from it. `note` as left by an earlier try. */
export function testBatch(pieces: readonly Uint8Array[], overrides: Partial<Batch> = {}): TestBatch {
  const digest = createHash("sha256");
  for (const piece of pieces) digest.update(piece);
  const notes: Json[] = [];
  return {
    id: 1,
    lane: "date=2026-11-23/hour=01",
    number: 0,
    epoch: "0badcafe",
    name: "edge-1-0123456789abcdef-0badcafe-00000000000000000000-00000000000000000011.ndjson.zst",
    ranges: [[0, 11]],
    records: 12,
    codec: "zstd",
    bytes: pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
    digest: digest.digest("hex"),
    async *body() {
      for (const piece of pieces) yield piece;
    },
    note: undefined,
    async setNote(note) {
      notes.push(note);
    },
    notes,
    ...overrides,
  };
}

/** Signals nobody aborts, and the switches for a test that does. */
export function testSignals(): { signals: Signals; stop: AbortController; kill: AbortController } {
  const stop = new AbortController();
  const kill = new AbortController();
  return { signals: { stop: stop.signal, kill: kill.signal }, stop, kill };
}
