/** A line on its way to a record: where its content lies and what is known of it. One object is used for all lines of an encoder. */
import type { Instant } from "./instant.ts";

/** Which output of a container a line came from; `none` for lines that say nothing of it. */
export const outputs = { none: 0, stdout: 1, stderr: 2 } as const;
export type Output = (typeof outputs)[keyof typeof outputs];

export interface Line extends Instant {
  /** Content, without the line's end; UTF-8. */
  bytes: Uint8Array;
  start: number;
  end: number;
  /** Where it begins in its text (a file's offset), and whether the record says so. */
  place: number;
  output: Output;
  /** The writer has cut it here: it goes on in the next line of the same output. */
  goesOn: boolean;
  partial: boolean;
  truncated: boolean;
}

/** `seconds` NaN: the line was read at `chunk.readMs`, and has no time of its own. */
export function createLine(): Line {
  return {
    bytes: new Uint8Array(0),
    start: 0,
    end: 0,
    place: 0,
    output: outputs.none,
    goesOn: false,
    partial: false,
    truncated: false,
    seconds: NaN,
    nanos: 0,
  };
}

export interface FormatCounts {
  records: number;
  invalidUtf8: number;
  /** Runs of NUL bytes before lines that were left out. */
  nulRuns: number;
  truncated: number;
  /** Objects kept as text, since some reader would stumble over them. */
  keptAsText: number;
  /** Lines that are not in the format of their source: kept as they came. */
  mismatched: number;
  /** Records whose time could not be read in the line. */
  timeUnread: number;
  /** Records whose time is too far from the reading to be believed. */
  timeRejected: number;
  /** Events ended by a bound and not by their pattern. */
  split: number;
  /** Time of the last record, wall milliseconds; undefined when there is none. */
  lastMs: number | undefined;
}

export function noCounts(): FormatCounts {
  return {
    records: 0,
    invalidUtf8: 0,
    nulRuns: 0,
    truncated: 0,
    keptAsText: 0,
    mismatched: 0,
    timeUnread: 0,
    timeRejected: 0,
    split: 0,
    lastMs: undefined,
  };
}
