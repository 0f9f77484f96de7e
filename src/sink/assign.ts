/**
 * Which records of a frame go into which partition: by the frame's stream where that says enough, else record by record.
 *
 * Promise: a record of a source that is not in `from` is in no share, every other record is in exactly one.
 */
import type { Compress } from "../core/compress.ts";
import type { Delivery, FrameRef, Range, SpoolReader } from "../core/contract.ts";
import { assert } from "../core/assert.ts";
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
    if (!known) return this.#byRecord(frame, wanted, from === undefined);
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

  async #byRecord(frame: FrameRef, wanted: readonly Range[], filter: boolean): Promise<Share[]> {
    const bytes = await decodeFrame(frame, wanted, this.#reader, this.#compress);
    const raw = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const runs = new Runs();
    let before: Placed | undefined;
    const shares = new Map<string, Share>();
    let at = 0;
    let sequence = frame.firstSequence;
    for (const [first, last] of wanted) {
      for (; sequence <= last && at < raw.byteLength; sequence++) {
        const end = raw.indexOf(10, at) + 1 || raw.byteLength;
        if (sequence >= first)
          before = this.#add(shares, frame, { sequence, bytes: end - at, values: runs.valuesOf(raw.subarray(at, end)), filter, before });
        at = end;
      }
    }
    for (const share of shares.values()) {
      share.payloadBytes = Math.ceil((frame.payloadBytes * share.rawBytes) / frame.rawBytes);
      share.whole = share.records === frame.records;
    }
    return [...shares.values()];
  }

  /** Adds one record; `before` is where the last one went. */
  #add(
    shares: Map<string, Share>,
    frame: FrameRef,
    record: { sequence: number; bytes: number; values: PartitionValues; filter: boolean; before: Placed | undefined },
  ): Placed {
    const { sequence, bytes, values, filter, before } = record;
    const placed = before?.values === values ? before : { values, share: this.#shareOf(shares, frame, values, filter) };
    const { share } = placed;
    if (share === undefined) return placed;
    pushRange(share.ranges, sequence, sequence);
    share.records++;
    share.rawBytes += bytes;
    return placed;
  }

  #shareOf(shares: Map<string, Share>, frame: FrameRef, values: PartitionValues, filter: boolean): Share | undefined {
    if (filter && this.#from !== undefined && !this.#from.has(values.source ?? "")) return undefined;
    // A frame never spans a quarter hour of record time, so its time is that of each of its records as a partition sees it.
    const partition = this.#expand(values, frame.minMs);
    let share = shares.get(partition);
    if (share === undefined) {
      share = { partition, ranges: [], records: 0, rawBytes: 0, payloadBytes: 0, whole: false };
      shares.set(partition, share);
    }
    return share;
  }
}

/** Where a record with these values goes; `share` undefined: nowhere, its source is not asked for. */
interface Placed {
  readonly values: PartitionValues;
  readonly share: Share | undefined;
}
