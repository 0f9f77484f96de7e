/**
 * Which records of a frame go into which partition: by the frame's stream, or by what a mixed frame says it holds, where that is
 * enough; else record by record.
 *
 * Promise: a record of a source that is not in `from` is in no share, every other record is in exactly one.
 */
import type { Compress } from "../core/compress.ts";
import type { Delivery, FrameRef, Range, SpoolReader } from "../core/contract.ts";
import { assert } from "../core/assert.ts";
import { ContentsReader } from "../core/contents.ts";
import { quarterMs } from "../core/limits.ts";
import { giveBack } from "../core/lend.ts";
import { decodeFrame } from "./encode.ts";
import { expander, parseTemplate, type PartitionValues, type Template } from "./partition.ts";
import { countOf, pushRange } from "./ranges.ts";
import { Runs } from "./runs.ts";

/** What one frame gives to one partition. */
export interface Share {
  /** The partition, expanded; `""` for a sink that has none. */
  readonly partition: string;
  readonly ranges: Range[];
  records: number;
  /** NDJSON bytes of it; of a frame taken in part without decoding, those of the whole: never less than they are. */
  rawBytes: number;
  /** What of the frame's payload it makes up, by records. */
  payloadBytes: number;
  /** All of the frame. */
  whole: boolean;
}

const noTemplate: Template = { parts: [], source: false, host: false, labels: [] };

export class Assigner {
  readonly #from: ReadonlySet<string> | undefined;
  readonly #template: Template;
  readonly #expand: (values: PartitionValues, timeMs: number) => string;
  readonly #reader: Pick<SpoolReader, "payload">;
  readonly #compress: Compress;
  readonly #runs = new Runs();
  readonly #contents = new ContentsReader();
  #partitions = new WeakMap<PartitionValues, string>();
  #quarter = NaN;

  constructor(delivery: Delivery, reader: Pick<SpoolReader, "payload">, compress: Compress) {
    const { partition } = delivery;
    const template = partition === undefined ? noTemplate : parseTemplate(partition.template);
    assert(!("mistake" in template), "the partition template was not checked");
    this.#from = delivery.from === undefined ? undefined : new Set(delivery.from);
    this.#template = template;
    this.#expand = partition === undefined ? () => "" : expander(partition.template, partition.zone);
    this.#reader = reader;
    this.#compress = compress;
  }

  /** The shares of `wanted`, which lie in the frame. Rejects with RecordsGone when the frame had to be decoded and is damaged. */
  async shares(frame: FrameRef, wanted: readonly Range[]): Promise<Share[]> {
    const { stream } = frame;
    // A mixed frame still is of one source of this configuration, when that was asked for as it was written.
    const from = stream.from ?? (frame.mixed ? undefined : stream.source);
    if (this.#from !== undefined && from !== undefined && !this.#from.has(from)) return [];
    const known = (this.#from === undefined || from !== undefined) && (this.#needsNothing() || (!frame.mixed && this.#saysEnough(stream)));
    if (!known) return this.#byContents(frame, wanted, from) ?? this.#byRecord(frame, wanted, from === undefined);
    const records = countOf(wanted);
    return [
      {
        partition: this.#expand(stream, frame.minMs),
        ranges: [...wanted],
        records,
        rawBytes: frame.rawBytes,
        payloadBytes: Math.ceil((frame.payloadBytes * records) / frame.records),
        whole: records === frame.records,
      },
    ];
  }

  #needsNothing(): boolean {
    const { source, host, labels } = this.#template;
    return !source && !host && labels.length === 0;
  }

  /** A label the stream does not have may be missing from its records, or not have been asked for when it was written. */
  #saysEnough(stream: PartitionValues): boolean {
    const { source, host, labels } = this.#template;
    if ((source && stream.source === undefined) || (host && stream.host === undefined)) return false;
    return labels.every((name) => stream.labels !== undefined && Object.hasOwn(stream.labels, name));
  }

  /** Undefined when the frame does not say what it holds, or not enough. */
  #byContents(frame: FrameRef, wanted: readonly Range[], from: string | undefined): Share[] | undefined {
    if (frame.contents === undefined || countOf(wanted) !== frame.records || (this.#from !== undefined && from === undefined)) return undefined;
    const runs = this.#contents.read(frame.contents, frame.records, frame.rawBytes);
    if (runs === undefined || !runs.every(({ stream }) => this.#saysEnough(stream))) return undefined;
    const shares = new Map<string, Share>();
    let sequence = frame.firstSequence;
    for (const { stream, records, rawBytes } of runs) {
      const partition = this.#partitionOf(stream, frame.minMs);
      const share = shareIn(shares, partition);
      pushRange(share.ranges, sequence, sequence + records - 1);
      share.records += records;
      share.rawBytes += rawBytes;
      sequence += records;
    }
    return finished(shares, frame);
  }

  async #byRecord(frame: FrameRef, wanted: readonly Range[], filter: boolean): Promise<Share[]> {
    const bytes = await decodeFrame(frame, wanted, this.#reader, this.#compress);
    const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const shares = new Map<string, Share>();
    const run: Run = { values: undefined, share: undefined, first: 0, bytes: 0 };
    let at = 0;
    let sequence = frame.firstSequence;
    for (const [first, last] of wanted) {
      for (; sequence <= last && at < raw.byteLength; sequence++) {
        const end = raw.indexOf(10, at) + 1 || raw.byteLength;
        if (sequence >= first) {
          const values = this.#runs.valuesOf(raw, at, end);
          if (values !== run.values) {
            endRun(run, sequence);
            run.values = values;
            run.share = this.#shareOf(shares, frame, values, filter);
            run.first = sequence;
          }
          run.bytes += end - at;
        }
        at = end;
      }
      endRun(run, sequence);
      run.values = undefined;
    }
    giveBack(bytes);
    return finished(shares, frame);
  }

  #shareOf(shares: Map<string, Share>, frame: FrameRef, values: PartitionValues, filter: boolean): Share | undefined {
    if (filter && this.#from !== undefined && !this.#from.has(values.source ?? "")) return undefined;
    // A frame never spans a quarter hour of record time, so its time is that of each of its records as a partition sees it.
    return shareIn(shares, this.#partitionOf(values, frame.minMs));
  }

  /** Kept for a quarter hour of record time, within which it is the same. */
  #partitionOf(values: PartitionValues, timeMs: number): string {
    const quarter = Math.floor(timeMs / quarterMs);
    if (quarter !== this.#quarter) this.#partitions = new WeakMap();
    this.#quarter = quarter;
    let partition = this.#partitions.get(values);
    if (partition === undefined) this.#partitions.set(values, (partition = this.#expand(values, timeMs)));
    return partition;
  }
}

function shareIn(shares: Map<string, Share>, partition: string): Share {
  let share = shares.get(partition);
  if (share === undefined) shares.set(partition, (share = { partition, ranges: [], records: 0, rawBytes: 0, payloadBytes: 0, whole: false }));
  return share;
}

function finished(shares: ReadonlyMap<string, Share>, frame: FrameRef): Share[] {
  for (const share of shares.values()) {
    share.payloadBytes = Math.ceil((frame.payloadBytes * share.rawBytes) / frame.rawBytes);
    share.whole = share.records === frame.records;
  }
  return [...shares.values()];
}

/** Records one after the other that go to one place, so far; `share` undefined: nowhere, their source is not asked for. */
interface Run {
  values: PartitionValues | undefined;
  share: Share | undefined;
  first: number;
  bytes: number;
}

/** Adds the run to its share; `next` is the sequence after it. */
function endRun(run: Run, next: number): void {
  const { share, first, bytes } = run;
  run.bytes = 0;
  if (run.values === undefined || share === undefined) return;
  pushRange(share.ranges, first, next - 1);
  share.records += next - first;
  share.rawBytes += bytes;
}
