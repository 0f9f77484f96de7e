/** How a chunk goes on the one before, for records that may have several lines: what a source and the pipeline tell each other of it. */
import type { Json, PositionDelta } from "./terms.ts";

/**
 * One text in several chunks, in order. What is begun and not ended at the end of a chunk is no record yet: the position that is
 * committed with the chunk is that of its begin, so that a restart reads it again from there.
 */
export interface Flow {
  /** Names the text. */
  readonly key: string;
  /**
   * Where this chunk begins in it, in bytes. Further on than the chunk before has ended: what was begun ends there. Further back: it is
   * read again, and what was begun is forgotten.
   */
  readonly start: number;
  /** What `cover` was given with the position from which reading began. */
  readonly state?: Json;
  /** Nothing more comes, or did not come in time: what is begun ends here. */
  readonly end: boolean;
  /** What the source knows a place by, `index` bytes into this chunk. Asked while the chunk is encoded. */
  placeAt(index: number): unknown;
  /** The position that says that all before `place` is in records, and of what follows what `state` says. Asked once a chunk. */
  cover(place: unknown, state: Json | undefined): PositionDelta;
}
