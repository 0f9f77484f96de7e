/**
 * What happens before there is a spool: its folder is made, its lock taken, what was left recovered, its identity renewed.
 *
 * Damage never ends it. What does: another process that has the lock, a folder that cannot be used, a format from the future,
 * and that one before anything was changed.
 */
import type { Board } from "../core/board.ts";
import type { Disk } from "../core/disk.ts";
import type { Doors } from "../core/doors.ts";
import { errnoOf, Fault, isNoSpace } from "../core/fault.ts";
import { makeDurable } from "../core/folder.ts";
import type { Log } from "../core/log.ts";
import { bounds, type Bounds } from "./bounds.ts";
import { openIdentity, readIdentity, type Identity } from "./identity.ts";
import { layoutOf, type Layout } from "./layout.ts";
import type { TakeLock } from "./lock.ts";
import { patientDisk } from "./patient.ts";
import { Quarantine, type Damage } from "./quarantine.ts";
import { recover, type Recovered } from "./recover.ts";
import { Reserve } from "./reserve.ts";

export interface StartOptions {
  readonly dir: string;
  readonly doors: Doors;
  readonly board: Board;
  readonly writer: string;
  readonly machineId: string;
  readonly kill: AbortSignal;
  readonly takeLock: TakeLock;
  readonly bounds?: Bounds;
}

export interface Started {
  readonly layout: Layout;
  readonly lock: Disposable;
  readonly quarantine: Quarantine;
  readonly recovered: Recovered;
  readonly identity: Identity;
}

/** Throws Fault `spool_locked`, `spool_unusable`, `spool_future_format` (all never). */
export async function start(options: StartOptions): Promise<Started> {
  const { doors, board, machineId, writer, kill } = options;
  const { disk, clock } = doors;
  const layout = layoutOf(options.dir);
  try {
    for (const dir of [layout.dir, layout.segments, layout.sinks, layout.quarantine]) await makeDurable(disk, dir);
  } catch (cause) {
    throw unusable(layout.dir, cause);
  }
  const lock = await lockIn(disk, layout.lock, options.takeLock);
  const quarantine = new Quarantine({ disk, clock, board, dir: layout.quarantine, segmentsDir: layout.segments, over: kill });
  try {
    // Before anything is mended: what a later version wrote is not to be touched.
    const patient = patientDisk(disk, clock);
    const found = await readIdentity(patient, layout.identity);
    await quarantine.open();
    const recovered = await recover({ ...doors, disk: patient }, layout, quarantine, (options.bounds ?? bounds).tableSegmentsMin);
    if (found === "damaged") await quarantine.keepWhole(layout.identity, identityDamage(layout.identity));
    const stored = found === "damaged" ? undefined : found;
    // On a disk that is full to the last byte: what was kept for this.
    const makeRoom = (): Promise<void> => new Reserve(disk, layout.reserve).release();
    const identity = await openIdentity(doors, layout, { stored, machineId, writer, known: recovered.knownId, makeRoom });
    return { layout, lock, quarantine, recovered, identity };
  } catch (cause) {
    quarantine.close();
    lock[Symbol.dispose]();
    // Without an errno it is no fault of the disk but a bug, and must not be put down to the operator's rights.
    throw cause instanceof Fault || errnoOf(cause) === undefined ? cause : unusable(layout.dir, cause);
  }
}

/** A lock file full of something else cannot be held by anybody, since whoever took it read it first: it is emptied in its place. */
async function lockIn(disk: Disk, path: string, take: TakeLock): Promise<Disposable> {
  try {
    return take(path);
  } catch (cause) {
    if (!(cause instanceof Fault) || errnoOf(cause.cause) !== "SQLITE_NOTADB") throw cause;
    await using file = await disk.open(path, "write");
    await file.truncate(0);
  }
  return take(path);
}

function identityDamage(path: string): Damage {
  const hint = "the id is taken from the segments; whether the spool was copied here from another machine cannot be told";
  return { code: "spool_identity_damaged", message: `open spool: ${path} is not whole`, hint };
}

/** The folder of the spool cannot be made, listed, locked or written. */
export function unusable(dir: string, cause: unknown): Fault {
  // The file in it that was meant: rights are often wrong for one alone, made when logferry was once run as root.
  const path = cause instanceof Error && "path" in cause && typeof cause.path === "string" ? cause.path : dir;
  const hint = isNoSpace(cause)
    ? "free space on the file system that holds spool.dir, then start again"
    : "spool.dir must be a folder that the user logferry runs as may write to, with all that is in it";
  return new Fault({ code: "spool_unusable", retry: "never", message: `open spool ${dir}${path === dir ? "" : `: ${path}`}`, hint, cause });
}

/** Says what was met at the start and is over with it; what is not over stands on the board already. */
export function report({ layout, recovered, identity }: Started, { board, log }: { readonly board: Board; readonly log: Log }): void {
  const count = (code: string, message: string, hint: string): void => board.count("spool", new Fault({ code, retry: "never", message, hint }));
  for (const { code, message } of recovered.notes) {
    const torn = code === "spool_torn_tail";
    const hint = torn
      ? "a crash left it, and nothing in it had been acknowledged"
      : "nothing is lost by it; after anything but a power cut look at the disk";
    count(code, message, torn ? `nothing to do: ${hint}` : hint);
  }
  if (identity.copied) {
    const hint = "nothing to do if you moved it on purpose; the copy never writes the names of the original";
    count("spool_copied", "open spool: it was made on another machine and got a new id", hint);
  }
  if (identity.changed) {
    const hint = "nothing to do if you changed spool.json on purpose; what sinks had planned is planned anew under new names";
    count("spool_id_changed", "open spool: spool.json has another id than the segments", hint);
  }
  log.info("spool open", {
    component: "spool",
    dir: layout.dir,
    id: identity.id,
    epoch: identity.epoch,
    segments: recovered.segments.length,
    next_sequence: recovered.tail.nextSequence,
  });
}
