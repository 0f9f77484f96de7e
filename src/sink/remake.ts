/**
 * A planned batch whose body cannot be made as planned: what it becomes.
 *
 * Records gone from the spool: the batch without them. Other bytes from the same records (another compressor since the plan,
 * or an encoder this version does not have): the same records with the new length and digest. Never silently: the caller
 * journals and counts it before anything is sent.
 */
import type { Compress } from "../core/compress.ts";
import type { Range, SpoolReader } from "../core/contract.ts";
import { BodyChanged, encodeBody, isEncoder, measureBody, RecordsGone, type Encoder } from "./encode.ts";
import type { Plan } from "./ledger.ts";
import { countOf, subtract } from "./ranges.ts";

export interface Remade {
  /** Records that damage took, and that were given up for room. */
  readonly lost: number;
  readonly dropped: number;
  /** What changes in the plan; undefined when nothing is left of it. */
  readonly body:
    | { readonly ranges: readonly Range[]; readonly records: number; readonly encoder: Encoder; readonly bytes: number; readonly digest: string }
    | undefined;
}

/** Undefined when the spool cannot be read now: to be tried again with the batch. `trouble` is what its body ended with. */
export async function remake(plan: Plan, trouble: Error, reader: SpoolReader, compress: Compress): Promise<Remade | undefined> {
  let ranges = plan.ranges;
  let encoder: Encoder = isEncoder(plan.encoder) ? plan.encoder : "recode/1";
  let lost = 0;
  let dropped = 0;
  for (let cause: unknown = trouble; ;) {
    if (cause instanceof RecordsGone) {
      if (cause.dropped) dropped += countOf(cause.ranges);
      else lost += countOf(cause.ranges);
      ranges = subtract(ranges, cause.ranges);
    }
    if (ranges.length === 0) return { lost, dropped, body: undefined };
    try {
      const measured = await measureBody(encodeBody({ ranges, codec: plan.codec, encoder }, reader, compress));
      return { lost, dropped, body: { ranges, records: countOf(ranges), encoder, ...measured } };
    } catch (again) {
      // A frame that was cut cannot be copied; encoding anew takes what is left of it.
      if (again instanceof BodyChanged && encoder === "copy/1") encoder = "recode/1";
      else if (!(again instanceof RecordsGone)) return undefined;
      cause = again;
    }
  }
}
