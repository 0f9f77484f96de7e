/** Folders that outlive a power cut: one that is new is there for sure only once the folder above it was synced. */
import { dirname } from "node:path";
import type { Disk } from "./disk.ts";
import { errnoOf } from "./fault.ts";

/**
 * Makes `path` and the missing folders above it, one after the other, each synced into the one above before the next is made.
 * The lowest that is there already is synced as well: an earlier try may have made it and come no further. So whatever fails or
 * dies on the way, calling again and succeeding makes `path` durable. ext4 and xfs carry the parents along with a sync of what
 * lies in them, but nothing promises it. Rejects with the disk's error.
 *
 * Whose name is `known` to be durable is not synced again while it is there. Resolves with the folders that are so now.
 */
export async function makeDurable(disk: Disk, path: string, known: ReadonlySet<string> = new Set()): Promise<string[]> {
  const missing: string[] = [];
  let there = path;
  // Between `path` and a known folder everything is made and synced alike: to ask what is there would be a call more.
  const under = lineage(path).some((folder) => known.has(folder));
  for (; dirname(there) !== there; there = dirname(there)) {
    if ((known.has(there) || !under) && (await disk.stat(there)) !== undefined) break;
    missing.unshift(there);
  }
  if (!known.has(there)) await syncInto(disk, dirname(there));
  for (const folder of missing) {
    await disk.makeDirectory(folder);
    await syncInto(disk, dirname(folder));
  }
  return [there, ...missing];
}

/** The folders above `path`, the nearest first. */
function lineage(path: string): string[] {
  const above = dirname(path);
  return above === path ? [] : [above, ...lineage(above)];
}

async function syncInto(disk: Disk, parent: string): Promise<void> {
  try {
    await disk.syncDirectory(parent);
  } catch (cause) {
    // Who may pass through a folder and not read it cannot sync it.
    if (errnoOf(cause) !== "EACCES") throw cause;
  }
}
