/** A chunk of a sender that may bring the records of some sources only. */
import type { Chunk } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";

/** Throws Fault `source_refused` (denied, `record` = `line`) when the chunk may not bring records of this source. */
export function checkSource({ sources }: Chunk, source: string, line: number): void {
  if (sources === undefined || sources.has(source)) return;
  throw new Fault({
    code: "source_refused",
    retry: "denied",
    message: `line ${line}: this token may not bring records of source ${JSON.stringify(source.slice(0, 100))}`,
    hint: `it may bring ${[...sources].join(", ")}; add the name to the token's sources if that is wanted`,
    record: line,
  });
}
