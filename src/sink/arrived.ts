/**
 * A batch that was sent, whose answer was lost, and whose body cannot be made any more (a frame of it has rotted, or was given
 * up): before the rest of it is planned anew, the far side is asked whether it has it all. Otherwise that rest would arrive twice.
 */
import { Bug } from "../core/assert.ts";
import type { Batch, Sink } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { orAborted } from "../core/signals.ts";

/** True when it has arrived, false when it has not or nobody can tell; the fault when the far side is away: then it is to be asked again. */
export async function hasArrived(sink: Sink, batch: Batch, kill: AbortSignal): Promise<boolean | Fault> {
  try {
    return (await orAborted(sink.has?.(batch, kill) ?? describedAs(sink, batch, kill), kill)) ?? cut(batch);
  } catch (cause) {
    if (cause instanceof Bug || !(cause instanceof Fault)) throw cause;
    // Who may write and not read is never told: the rest is shipped, as it is to a receiver that keeps no account.
    return cause.retry === "later" ? cause : false;
  }
}

async function describedAs(sink: Sink, { lane, name, bytes, digest }: Batch, kill: AbortSignal): Promise<boolean> {
  return (await sink.holdings?.describe({ lane, name, bytes }, kill))?.digest === digest;
}

const cut = ({ name }: Batch): Fault => new Fault({ code: "delivery_cut", retry: "later", message: `deliver ${name}: cut short` });
