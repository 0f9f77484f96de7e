/**
 * Who a spool is: a random 128-bit id for its life and a random 32-bit epoch for each open, both synced before use.
 *
 * An unlike machine id beside the stored one means that the folder was copied from another machine: it gets a new id, so
 * that the two never write the same names. `spool.json` is replaced by rename; when it is lost, the segments' heads know the id.
 */
import type { Disk } from "../core/disk.ts";
import type { Random } from "../core/random.ts";
import { version as formatVersion } from "./format.ts";
import { isNoSpace } from "../core/fault.ts";
import { futureFormat, readWhole } from "./positions.ts";

export interface Identity {
  /** 32 hex digits. */
  id: string;
  /** 8 hex digits. */
  epoch: string;
  /** Earlier epochs under this id, the latest first. */
  pastEpochs: readonly string[];
  /** There was a spool, and which sinks it had is not known any more. */
  sinksForgotten: boolean;
  /** The stored id belonged to another machine and was replaced. */
  copied: boolean;
  /** The stored id is not that of the newest segment, and no copy explains it: somebody changed it. The stored one holds. */
  changed: boolean;
  /** What spool.json says now. */
  file: IdentityFile;
}

/**
 * What spool.json says. In every version it is a JSON object with `format`, `writer` and, last, `crc`: the CRC-32 (8 hex
 * digits) of the compact JSON of all before it. One without `crc` was written by hand and is believed.
 */
export interface IdentityFile {
  format: number;
  writer: string;
  spool_id: string;
  machine_id: string;
  epoch: string;
  /** Epochs of earlier opens under this id, the latest first: what a receiver has of them is of this history. */
  past_epochs?: readonly string[];
  /** The id before a new one was taken, for as long as the newest segment has it. */
  former_id?: string;
  /** Sinks that have a journal here: one that is missing is lost, and the sink not new. */
  sinks?: readonly string[];
}

/**
 * Makes what is missing, writes a new epoch durably. `stored` is what spool.json says; `known` the id found in segments, used
 * when the file is lost. An empty `machineId` (no /etc/machine-id, as in many containers) is never taken for another machine.
 */
export async function openIdentity(
  doors: { disk: Disk; random: Random },
  paths: { dir: string; identity: string },
  options: { stored: IdentityFile | undefined; machineId: string; writer: string; known: string | undefined; makeRoom: () => Promise<void> },
): Promise<Identity> {
  const { stored } = options;
  const copied = stored !== undefined && stored.machine_id !== "" && options.machineId !== "" && stored.machine_id !== options.machineId;
  const hex = (count: number): string => Buffer.from(doors.random.bytes(count)).toString("hex");
  const id = copied ? hex(16) : (stored?.spool_id ?? options.known ?? hex(16));
  const epoch = hex(4);
  // Until a segment is begun under a new id, the newest head has the old one: that is no change by somebody else.
  const former = copied ? (options.known ?? stored.spool_id) : options.known === stored?.former_id ? options.known : undefined;
  const pastEpochs =
    copied || stored === undefined ? [] : [stored.epoch, ...(stored.past_epochs ?? [])].filter((past) => past !== "").slice(0, pastEpochsMax);
  const value: IdentityFile = {
    format: formatVersion,
    writer: options.writer,
    spool_id: id,
    machine_id: options.machineId === "" ? (stored?.machine_id ?? "") : options.machineId,
    epoch,
    ...(pastEpochs.length === 0 ? {} : { past_epochs: pastEpochs }),
    ...(former === undefined ? {} : { former_id: former }),
    ...(stored?.sinks === undefined ? {} : { sinks: stored.sinks }),
  };
  await writeIdentity(doors.disk, paths, value, options.makeRoom);
  const changed = !copied && stored !== undefined && options.known !== undefined && options.known !== id && options.known !== stored.former_id;
  const sinksForgotten = options.known !== undefined && stored?.sinks === undefined;
  return { id, epoch, pastEpochs, sinksForgotten, copied, changed, file: value };
}

/**
 * Replaces spool.json, durably. Without space `makeRoom` is called; if that gave none, the file is written over in its place, which
 * takes none: a power cut in that very moment leaves it damaged, and then the segments know the id.
 */
export async function writeIdentity(
  disk: Disk,
  paths: { dir: string; identity: string },
  value: IdentityFile,
  makeRoom: () => Promise<void>,
): Promise<void> {
  const json = JSON.stringify({ ...value, crc: crcOf(value) }, null, 2);
  // Blanks to a whole page, so that it can be written over in its place without growing.
  const text = `${json.padEnd(Math.ceil((json.length + 1) / pageBytes) * pageBytes - 1)}\n`;
  const replace = (): Promise<void> => replaceFile(disk, paths.dir, paths.identity, text);
  try {
    return await replace();
  } catch (cause) {
    if (!isNoSpace(cause)) throw cause;
  }
  await makeRoom();
  try {
    return await replace();
  } catch (cause) {
    if (!isNoSpace(cause) || (await disk.stat(paths.identity)) === undefined) throw cause;
  }
  await disk.remove(`${paths.identity}.new`);
  await using file = await disk.open(paths.identity, "write");
  await file.write([Buffer.from(text)], 0);
  await file.truncate(Buffer.byteLength(text));
  await file.datasync();
}

/** More than it has with 32 epochs and a few sinks; every file system takes as much for it anyway. */
const pageBytes = 2048;

/** A month of daily restarts. */
const pastEpochsMax = 32;

/** Some hundred bytes and a name for each sink; a longer file is none of ours. */
const identityBytesMax = 64 * 1024;

/** What is stored; undefined when nothing is, `damaged` when it makes no sense. Throws Fault `spool_future_format`. */
export async function readIdentity(disk: Disk, path: string): Promise<IdentityFile | "damaged" | undefined> {
  const bytes = await readWhole(disk, path, identityBytesMax);
  if (bytes === undefined) return undefined;
  let value: (Partial<IdentityFile> & { crc?: unknown }) | null;
  try {
    value = JSON.parse(bytes.toString("utf8")) as typeof value;
  } catch {
    return "damaged"; // the segments know the id
  }
  const { crc, ...summed } = value ?? {};
  // Before anything in it is believed: a flipped bit makes another id of it, or a format from the future.
  if (crc !== undefined && crc !== crcOf(summed)) return "damaged";
  if (typeof value?.format === "number" && value.format > formatVersion) throw futureFormat(path, value.writer);
  const { spool_id, machine_id = "", former_id, writer = "", epoch = "", past_epochs, sinks } = value ?? {};
  if (typeof spool_id !== "string" || !/^[0-9a-f]{32}$/.test(spool_id) || typeof machine_id !== "string") return "damaged";
  const more = {
    ...(Array.isArray(past_epochs) ? { past_epochs } : {}),
    ...(former_id === undefined ? {} : { former_id }),
    ...(Array.isArray(sinks) ? { sinks } : {}),
  };
  return { format: formatVersion, spool_id, machine_id, writer, epoch, ...more };
}

function crcOf(value: object): string {
  return Bun.hash.crc32(JSON.stringify(value)).toString(16).padStart(8, "0");
}

/** Puts `content` at `path` whole or not at all: temp file, sync, rename, sync of the directory. */
export async function replaceFile(disk: Disk, dir: string, path: string, content: string): Promise<void> {
  const temp = `${path}.new`;
  await disk.remove(temp);
  {
    await using file = await disk.open(temp, "create");
    await file.write([Buffer.from(content)], 0);
    await file.datasync();
  }
  await disk.rename(temp, path);
  await disk.syncDirectory(dir);
}
