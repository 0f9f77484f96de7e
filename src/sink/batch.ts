/** A plan as the sink sees it: a Batch, whose body is made from the spool at every call and compared with the plan. */
import { Bug } from "../core/assert.ts";
import type { Compress } from "../core/compress.ts";
import type { Batch, SpoolReader } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { BodyChanged, checkedBody, encodeBody, isEncoder, RecordsGone } from "./encode.ts";
import type { Journal } from "./journal.ts";
import type { Plan } from "./ledger.ts";
import { keptBody } from "./split.ts";

/** `trouble`: why a body could not be made as planned, however the sink told of it. */
export interface SentBatch extends Batch {
  readonly trouble: Error | undefined;
}

/**
 * `parts`: the body, where it was kept since it was planned. One that can be read again from the spool as it lies there is given away at the
 * first call; one that was split out of mixed frames, which costs more, is copied at each.
 */
export function batchOf(plan: Plan, reader: SpoolReader, compress: Compress, journal: Journal, parts?: readonly Uint8Array[]): SentBatch {
  const { id, lane, number, epoch, name, ranges, records, codec, bytes, digest } = plan;
  let trouble: Error | undefined;
  let kept = parts;
  async function* body(): AsyncGenerator<Uint8Array> {
    try {
      // A plan of another version: its records are encoded in a way of ours, which is planned before it is sent.
      if (!isEncoder(plan.encoder)) throw new BodyChanged(`planned with encoder ${plan.encoder}`);
      const made = kept === undefined ? encodeBody({ ranges, codec, encoder: plan.encoder }, reader, compress) : keptBody(kept, plan.encoder);
      if (plan.encoder === "copy/1") kept = undefined;
      yield* checkedBody(made, plan);
    } catch (cause) {
      if (cause instanceof Bug || cause instanceof Fault) throw cause;
      if (cause instanceof RecordsGone || cause instanceof BodyChanged) trouble = cause;
      throw new Fault({
        code: "sink_read_failed",
        retry: "later",
        message: `read batch ${name}`,
        hint: "look at the spool's disk; it is tried again",
        cause,
      });
    }
  }
  return {
    id,
    lane,
    number,
    epoch,
    name,
    ranges,
    records,
    codec,
    bytes,
    digest,
    body,
    get note() {
      return journal.ledger.notes.get(id);
    },
    setNote: (note) => journal.append({ kind: "note", id, note }),
    get trouble() {
      return trouble;
    },
  };
}
