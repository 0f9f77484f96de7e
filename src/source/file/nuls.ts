/**
 * Runs of NUL bytes longer than a read: what a writer leaves that goes on at its old place after its file was truncated, often gigabytes that
 * take no space. They are no part of the line behind them, and no part of any line.
 *
 * A run is passed only once something stands behind it: a file of a fixed size (preallocated, mapped) ends in NULs that are written over
 * later. Shorter runs go with the lines around them, and the pipeline leaves them out.
 */
import type { SourceContext } from "../../core/contract.ts";
import { nulsSkipped } from "./faults.ts";
import { tailBytesMax } from "./identity.ts";
import type { Tracked } from "./tracked.ts";

const zeroes = new Uint8Array(64 * 1024);

/** Index of the first byte in `bytes[from, to)` that is not NUL; `to` when there is none. */
export function textBegin(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  for (let step = Math.min(zeroes.length, to - at); step > 0; step = Math.min(zeroes.length, to - at)) {
    if (Buffer.compare(bytes.subarray(at, at + step), zeroes.subarray(0, step)) !== 0) break;
    at += step;
  }
  while (at < to && bytes[at] === 0) at++;
  return at;
}

export class Nuls {
  readonly #context: SourceContext;
  /** Files of which all that was scanned is NUL. */
  readonly #running = new WeakSet<Tracked>();

  constructor(context: SourceContext) {
    this.#context = context;
  }

  holds(file: Tracked): boolean {
    return this.#running.has(file);
  }

  begin(file: Tracked): void {
    this.#running.add(file);
  }

  end(file: Tracked): void {
    this.#running.delete(file);
  }

  /** Moves `file` over `count` NULs; `before` are the bytes before them, needed where there are fewer than a tail has. */
  pass(file: Tracked, count: number, before: Uint8Array): void {
    this.#context.board.count(`sources.${this.#context.name}`, nulsSkipped(file.path, count));
    for (let left = count; left > 0; left -= Math.min(left, zeroes.length))
      file.advance(zeroes.subarray(0, Math.min(left, zeroes.length)), left === count ? before : zeroes.subarray(0, tailBytesMax));
  }
}
