/** What a sink can say of its far side, beside delivering to it: for a journal that is lost, and for `verify`. */
import type { Range } from "./terms.ts";

/** Something that stands at the far side under a name of ours. */
export interface Held {
  readonly lane: string;
  readonly name: string;
  readonly bytes: number;
}

/**
 * What the far side holds, for a sink that lays out objects: to rebuild a lost journal from, and to verify. Nothing of it is
 * remembered from puts: it is asked for at every call. All reject with a Fault as `put` does; `kill` cuts them.
 */
export interface Holdings {
  /** Everything whose name is `wanted`, in no order. */
  list(wanted: (name: string) => boolean, kill: AbortSignal): AsyncIterable<Held>;
  /** SHA-256 (hex) of the body and its records, undefined where the far side does not say. Undefined when it is not there. */
  describe(held: Held, kill: AbortSignal): Promise<{ readonly digest: string | undefined; readonly records: number | undefined } | undefined>;
  /** The body. A piece is the caller's until it asks for the next. */
  read(held: Held, kill: AbortSignal): AsyncIterable<Uint8Array>;
}

/**
 * What a receiver that keeps no objects says it has taken from this sink: all records below `low`, and `ranges`. When it is
 * `exact`, nothing else arrived; if not, it may have more than it knows of.
 */
export interface Received {
  readonly low: number;
  readonly ranges: readonly Range[];
  readonly exact: boolean;
}
