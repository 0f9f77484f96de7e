/** A look at the open files that are due, by their descriptors: has it grown, was it cut, is it over? */
import type { FileStat } from "../../core/disk.ts";
import { spanTimeout } from "../../core/format.ts";
import type { Catalog } from "./catalog.ts";
import type { FileConfig } from "./config.ts";
import { unreadable } from "./faults.ts";
import type { Reader } from "./reader.ts";
import type { Tracked } from "./tracked.ts";

/** Looks at once; see found.ts. */
const batch = 64;
/** A file that grew within the last ten seconds is looked at every tick. */
const busyMs = 10_000;
/** Quiet ones are left to the look at the globs, which sees them grow; those without a name are looked at every second. */
const quietMs = { named: 10_000, unnamed: 1000 };
/** A deleted file is closed once it has not grown for this long: whoever writes it may not know yet that it is deleted. */
const deletedMs = 5000;
/** The same for one renamed out of the globs, which holds no space that its new name does not hold too. */
const unnamedMs = 10 * 60_000;

/** Returns when the next look is due, monotonic milliseconds; Infinity when none is. */
export async function poll(catalog: Catalog, reader: Reader, config: FileConfig, now: number, enqueue: (file: Tracked) => void): Promise<number> {
  for (const file of catalog.files.values()) {
    if (!file.rejected || file.inFlight > 0) continue;
    file.rewind(); // here and not at once: what was refused may be refused again
    enqueue(file);
  }
  const holdMs = spanTimeout(config);
  const due = [...catalog.files.values()].filter((file) => file.handle !== undefined && file.packed === undefined && file.lookAt <= now);
  for (let at = 0; at < due.length; at += batch) {
    const part = due.slice(at, at + batch);
    const stats = await Promise.all(part.map((file) => look(file, catalog)));
    for (const [index, stat] of stats.entries()) {
      const file = part[index];
      if (file === undefined || stat === undefined) continue;
      if (stat.bytes < file.readEnd && !(await stands(file, stat, catalog))) continue;
      if (stat.links === 0) file.goes(now);
      if (file.seen(stat, now)) enqueue(file);
      // What is deleted cannot be read again after a restart: its last event does not wait for more.
      const quiet = file.state === "deleted" || (holdMs !== undefined && now - file.grewAt >= holdMs);
      if (quiet && !file.queued && reader.holds(file)) reader.flush(file);
      file.lookAt = now + (now - file.grewAt < busyMs || reader.holds(file) ? 0 : file.named ? quietMs.named : quietMs.unnamed);
      await finish(file, catalog, reader, config, now);
    }
  }
  let next = Number.POSITIVE_INFINITY;
  for (const file of catalog.files.values())
    if ((file.handle !== undefined && file.packed === undefined) || file.rejected) next = Math.min(next, file.lookAt);
  return next;
}

async function look(file: Tracked, catalog: Catalog): Promise<FileStat | undefined> {
  try {
    return await file.handle?.stat();
  } catch (cause) {
    catalog.failed(file, unreadable("look at", file.path, cause));
    return undefined;
  }
}

/**
 * Of a file that has become smaller than we have looked at: whether all we have read of it stands. File servers say sizes that are some
 * seconds old, and a line that was not whole yet may be taken back; only what is gone was cut.
 */
async function stands(file: Tracked, stat: FileStat, catalog: Catalog): Promise<boolean> {
  if (file.handle === undefined) return false;
  try {
    const { readOffset, tailBytes } = file;
    const same = tailBytes > 0 && (await file.stands());
    if (!same) await catalog.cut(file);
    else if (stat.bytes >= readOffset) file.readEnd = stat.bytes;
    return same && stat.bytes >= readOffset;
  } catch (cause) {
    catalog.failed(file, unreadable("read", file.path, cause));
    return false;
  }
}

/** What is owed to a file that is rotated away or deleted: its last line, then its end. */
async function finish(file: Tracked, catalog: Catalog, reader: Reader, config: FileConfig, now: number): Promise<void> {
  if (file.state === "live" || file.queued || file.inFlight > 0 || !file.drained || file.rejected) return;
  const quiet = now - file.grewAt;
  if (file.restBytes > 0) {
    if (quiet >= config.partial_line_after && (await reader.partial(file)) === "cut") await catalog.cut(file);
    return;
  }
  if (file.state === "deleted" && quiet >= Math.max(deletedMs, config.partial_line_after)) catalog.lose(file, "deleted");
  else if (!file.named && quiet >= unnamedMs) catalog.lose(file, "gone");
}
