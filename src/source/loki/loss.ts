/**
 * Declared loss: what the server has and will not show us, by minute, stream and reason. It is committed with the watermark, so
 * that a restart neither forgets what was lost nor counts it again.
 */
import type { Board } from "../../core/board.ts";
import type { Json } from "../../core/contract.ts";
import type { Fault } from "../../core/fault.ts";
import { bucketSeconds, formatNs } from "./time.ts";

/** The loss of one minute in one stream for one reason, as /status shows it. */
export interface Loss {
  readonly minute: string;
  /** The stream's labels as JSON, or in words why they are not known. */
  readonly stream: string;
  /** Code of the fault. */
  readonly reason: string;
  readonly entries: number;
}

/** So many are listed; the sum has all. */
const listedMax = 100;

export class Losses {
  /** Entries since the first start. */
  entries = 0;
  /** The latest, at the end. */
  listed: Loss[] = [];
  readonly #board: Board;
  readonly #component: string;

  /** `committed`: what `json` gave. */
  constructor(board: Board, component: string, committed: Json | undefined) {
    this.#board = board;
    this.#component = component;
    if (!Array.isArray(committed)) return;
    const [entries, ...rows] = committed as readonly Json[];
    this.entries = Number(entries);
    for (const row of rows) {
      const [minute, stream, reason, lost] = row as readonly string[];
      this.listed.push({ minute: String(minute), stream: String(stream), reason: String(reason), entries: Number(lost) });
    }
  }

  /** `entries` more were lost in the minute that begins with `bucket`. */
  add(fault: Fault, bucket: number, stream: string, entries: number): void {
    const minute = minuteText(bucket);
    const same = (loss: Loss): boolean => loss.minute === minute && loss.stream === stream && loss.reason === fault.code;
    const before = this.listed.find(same)?.entries ?? 0;
    const row = { minute, stream, reason: fault.code, entries: before + entries };
    this.listed = [...this.listed.filter((loss) => !same(loss)), row].slice(-listedMax);
    this.entries += entries;
    this.#board.count(this.#component, fault, entries);
  }

  /** What was declared for the minute that begins with `bucket` and this reason, in all streams or in one. */
  sumAt(bucket: number, reason: string, stream?: string): number {
    const minute = minuteText(bucket);
    const rows = this.listed.filter((loss) => loss.minute === minute && loss.reason === reason && (stream ?? loss.stream) === loss.stream);
    return rows.reduce((sum, { entries }) => sum + entries, 0);
  }

  json(): Json {
    return [this.entries, ...this.listed.map(({ minute, stream, reason, entries }) => [minute, stream, reason, entries])];
  }
}

/** `2026-11-23T01:30:00Z` of the bucket a minute begins with. */
export function minuteText(bucket: number): string {
  return formatNs(bucket * bucketSeconds, 0).replace(".000000000", "");
}
