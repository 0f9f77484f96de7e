/**
 * Who a spool is: a random 128-bit id for its life and a random 32-bit epoch for each open, both synced before use.
 *
 * An unlike machine id beside the stored one means that the folder was copied from another machine: it gets a new id, so
 * that the two never write the same names. `spool.json` is replaced by rename; when it is lost, the segments' heads know the id.
 */
import type { Disk } from "../core/disk.ts";
import type { Random } from "../core/random.ts";
import { version as formatVersion } from "./format.ts";
import { futureFormat, readWhole } from "./positions.ts";

export interface Identity {
  /** 32 hex digits. */
  id: string;
  /** 8 hex digits. */
  epoch: string;
  /** The stored id belonged to another machine and was replaced. */
  copied: boolean;
}

interface IdentityFile {
  format: number;
  writer: string;
  spool_id: string;
  machine_id: string;
  epoch: string;
}

/**
 * Reads `path`, makes what is missing, writes a new epoch durably. `known` is the id found in segments, used when the file is lost.
 * An empty `machineId` (no /etc/machine-id, as in many containers) is never taken for another machine.
 */
export async function openIdentity(
  doors: { disk: Disk; random: Random },
  paths: { dir: string; identity: string },
  options: { machineId: string; writer: string; known: string | undefined },
): Promise<Identity> {
  const stored = await readIdentity(doors.disk, paths.identity);
  if (stored !== undefined && stored.format > formatVersion) throw futureFormat(paths.identity, stored.writer);
  const copied = stored !== undefined && stored.machine_id !== "" && options.machineId !== "" && stored.machine_id !== options.machineId;
  const hex = (count: number): string => Buffer.from(doors.random.bytes(count)).toString("hex");
  const id = copied ? hex(16) : (stored?.spool_id ?? options.known ?? hex(16));
  const epoch = hex(4);
  const value: IdentityFile = {
    format: formatVersion,
    writer: options.writer,
    spool_id: id,
    machine_id: options.machineId === "" ? (stored?.machine_id ?? "") : options.machineId,
    epoch,
  };
  await replaceFile(doors.disk, paths.dir, paths.identity, `${JSON.stringify(value, null, 2)}\n`);
  return { id, epoch, copied };
}

async function readIdentity(disk: Disk, path: string): Promise<IdentityFile | undefined> {
  const bytes = await readWhole(disk, path);
  try {
    const value = JSON.parse(bytes?.toString("utf8") ?? "") as Partial<IdentityFile>;
    if (!/^[0-9a-f]{32}$/.test(value.spool_id ?? "")) return undefined;
    return { format: 1, writer: "", machine_id: "", epoch: "", ...value } as IdentityFile;
  } catch {
    return undefined; // lost or torn: the segments know the id
  }
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
