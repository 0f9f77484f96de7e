/**
 * The claim of a sink that is not configured: it holds what it had not delivered.
 *
 * Promise: the claim never passes what the journal on the medium says. After a failed sync the page cache shows entries that the
 * disk may not have; segments that went on the strength of them would be missing after a power cut, and be counted as lost.
 */
import { dirname } from "node:path";
import type { SpoolReader } from "../core/contract.ts";
import type { Doors } from "../core/doors.ts";
import { Journal } from "./journal.ts";

/** Claims for `sink` what its journal says. Rejects with the journal's Fault or the disk's error: then it holds everything. */
export async function keepClaim(sink: string, path: string, reader: SpoolReader, doors: Doors): Promise<void> {
  const journal = await Journal.open({ path, sink, spoolId: reader.id, doors, onFault: () => {} });
  const { low } = journal.ledger;
  await journal.close();
  await settle(doors, path);
  reader.claim(sink, Math.min(low, reader.nextSequence()));
}

/** Writes the file over itself and syncs it and its name. */
async function settle({ disk }: Doors, path: string): Promise<void> {
  await using file = await disk.open(path, "write");
  const bytes = new Uint8Array((await file.stat()).bytes);
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.byteLength; length += count) count = await file.read(bytes.subarray(length), length);
  await file.write([bytes.subarray(0, length)], 0);
  await file.datasync();
  await disk.syncDirectory(dirname(path));
}
