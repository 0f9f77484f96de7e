/**
 * Objects of NDJSON by the kernel, many at a time: what `JsonScan.scan` finds in a line, for lines in which nothing is wrong or doubtful.
 * The others it leaves to the scan.
 */
import type { JsonScan, Span } from "../core/json.ts";
import { rowWords, type RecordsKernel } from "./kernel/records.ts";

/** Loading a piece for less does not pay. */
const bytesMin = 4096;
/** Lines scanned one by one before the kernel is asked again, when it took none of them. */
const restMax = 32;
const names = ["timestamp", "host", "source", "labels"].map((name) => new TextEncoder().encode(name));

export class Rows {
  readonly #kernel: RecordsKernel;
  #bytes: Uint8Array = new Uint8Array(0);
  #pieceEnd = 0;
  #row = 0;
  #count = 0;
  #next = 0;
  #rest = 0;
  #restNext = 0;

  constructor(kernel: RecordsKernel) {
    this.#kernel = kernel;
  }

  /** Lines of `bytes`, which must be UTF-8, are asked for from now on. */
  begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#pieceEnd = this.#rest = this.#restNext = 0;
    if (bytes.length >= bytesMin) this.#kernel.look(names);
    else this.#rest = Infinity;
  }

  /** Reads lines from `start` on and gives the first one to `scan`, as if it had scanned it. Returns how many there are, 0 for none. */
  read(start: number, scan: JsonScan): number {
    this.#next = start;
    this.#count = 0;
    if (this.#rest-- > 0) return 0;
    if (start >= this.#pieceEnd) this.#pieceEnd = this.#kernel.load(this.#bytes, start);
    if (start < this.#pieceEnd) {
      this.#count = this.#kernel.rows(start);
      this.#next = this.#kernel.reached.next;
    }
    this.#restNext = this.#count > 0 ? 0 : Math.min(restMax, Math.max(1, 2 * this.#restNext));
    this.#rest = this.#restNext;
    this.#row = 0;
    this.#give(scan);
    return this.#count;
  }

  /** Gives the next of them; returns how many are left, this one among them: 0 when it was the last one before. */
  next(scan: JsonScan): number {
    this.#row++;
    this.#give(scan);
    return this.#count - this.#row;
  }

  /** Where the lines end that were read from `start` on. */
  reached(start: number): number {
    return Math.max(start, this.#next);
  }

  #give(scan: JsonScan): void {
    if (this.#row >= this.#count) return;
    const at = this.#row * rowWords;
    scan.stumble = "";
    scan.reason = "";
    this.#span(scan.object, at);
    this.#span(scan.timestamp, at + 2);
    this.#span(scan.host, at + 4);
    this.#span(scan.source, at + 6);
    this.#span(scan.labels, at + 8);
  }

  #span(span: Span, at: number): void {
    const { table } = this.#kernel;
    const start = table[at] as number;
    span.start = start === 0 ? -1 : this.#kernel.placeOf(start);
    span.end = start === 0 ? -1 : this.#kernel.placeOf(table[at + 1] as number);
  }
}
