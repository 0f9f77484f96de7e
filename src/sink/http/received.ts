/**
 * What another logferry says it has taken from this sink, believed as far as it is of this spool's own history.
 *
 *     {"lanes":[{"lane":"0","epoch":"0badcafe","number":4,"digest":"sha256:…","low":17,"cut":3,"had":[["0badcafe",20,25]]}]}
 *
 * `number` and `digest` are those of the lane's last batch. `low`: all records of this sink below it had arrived somewhere when the lane's last batch was sent, in `epoch`. `had`: first and last
 * sequence of batches since, each with its epoch; up to `cut` some were left out. A spool that was rolled back or copied does not know
 * the epochs of its other life: what they brought are other records under the same sequences.
 */
import * as v from "valibot";
import type { Batch, Range } from "../../core/contract.ts";
import type { Received } from "../../core/holdings.ts";

const sequence = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const lanesOf = v.object({
  lanes: v.array(
    v.object({
      epoch: v.string(),
      low: v.optional(sequence),
      cut: v.optional(sequence),
      had: v.array(v.tuple([v.string(), sequence, sequence])),
    }),
  ),
});

const lastsOf = v.object({
  lanes: v.array(v.object({ lane: v.optional(v.string()), epoch: v.string(), number: v.optional(sequence), digest: v.optional(v.string()) })),
});

/** Whether the last batch it has of the lane is exactly this one. */
export function isLast(text: string, batch: Batch): boolean {
  const parsed = v.safeParse(lastsOf, jsonOf(text));
  if (!parsed.success) return false;
  return parsed.output.lanes.some(
    ({ lane, epoch, number, digest }) =>
      lane === batch.lane && epoch === batch.epoch && number === batch.number && digest === `sha256:${batch.digest}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined when it is no such answer. `epochs` are those this spool has had. */
export function receivedOf(text: string, epochs: readonly string[]): Received | undefined {
  const parsed = v.safeParse(lanesOf, jsonOf(text));
  if (!parsed.success) return undefined;
  const { lanes } = parsed.output;
  const trusted = lanes.filter(({ epoch, low }) => low !== undefined && epochs.includes(epoch));
  const low = Math.max(0, ...trusted.map((lane) => lane.low ?? 0));
  const had = lanes.flatMap((lane) => lane.had);
  const ours = had.filter(([epoch, first, last]) => epochs.includes(epoch) && first <= last);
  const ranges = ours.map(([, first, last]): Range => [first, last]).sort((a, b) => a[0] - b[0]);
  // What lies below `low` is accounted for, whoever brought it.
  const exact = trusted.length > 0 && ours.length === had.length && lanes.every(({ cut = -1 }) => cut < low);
  return { low, ranges, exact };
}
