/** A spool in memory behind the encoder: records as a sink would see them, positions as the pipeline covers them. */
import type { Chunk, PositionDelta } from "../../src/core/contract.ts";
import type { Flow } from "../../src/core/flow.ts";
import type { LineKeys } from "../../src/core/format.ts";
import { createEncoder, type Encoded, type Encoder } from "../../src/pipeline/encoder.ts";
import { collectFrames } from "../support/frames.ts";
import { MemorySpool } from "./memory.ts";

export class RecordSpool extends MemorySpool {
  readonly records: Record<string, unknown>[] = [];
  readonly counts: Encoded[] = [];
  readonly #encoder: Encoder;

  /** Goes on after `before`, with its records and positions; the encoder is new, as after a restart. */
  constructor(keys: LineKeys & { readonly line_bytes_max?: number }, before?: RecordSpool, commitMs = 2) {
    super(before, commitMs);
    this.records.push(...(before?.records ?? []));
    const fields = { from: false, source: false, host: false, labels: [] };
    this.#encoder = createEncoder({
      name: "app",
      host: "edge-1",
      labels: {},
      fields,
      keys,
      ...(keys.line_bytes_max === undefined ? {} : { lineBytesMax: keys.line_bytes_max }),
    });
  }

  get messages(): unknown[] {
    return this.records.map(({ message }) => message);
  }

  protected override cover(chunk: Chunk, flow: Flow): PositionDelta {
    const collected = collectFrames();
    const encoded = this.#encoder.encode({ ...chunk, flow }, collected.frames);
    this.counts.push(encoded);
    this.records.push(...collected.records());
    return encoded.position ?? {};
  }
}
