/**
 * Sink `directory`: one file a batch in a folder of this machine or a mounted one, laid out like the objects in S3.
 *
 * Promises:
 * - A file stands under its name whole and synced, or not at all: it is written as `.NAME.tmp`, synced, then linked.
 * - Nothing that is there is ever overwritten: a file of that name with the same content is the delivery (a retry after a
 *   crash), one with other content is reported as forked.
 * - `put` resolves after the folder and every folder made for it were synced.
 * - Leftovers of a crash need no search: the name of the temporary file follows from the batch, and the journal sends a
 *   batch that was cut again under the same name.
 */
import { dirname, join } from "node:path";
import * as v from "valibot";
import type { Batch, CheckContext, Finding, Receipt, Sink, SinkKind } from "../../core/contract.ts";
import type { Holdings } from "../../core/holdings.ts";
import type { Disk, DiskFile } from "../../core/disk.ts";
import { errnoOf, Fault } from "../../core/fault.ts";
import { makeDurable } from "../../core/folder.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { text } from "../../core/values.ts";
import { commonKeys, deliveryOf, partitionKeys } from "../schema.ts";
import { classify } from "./fault.ts";
import { hashOf, holdingsOf } from "./holdings.ts";

const schema = v.strictObject({
  type: v.literal("directory"),
  dir: v.pipe(text(), v.description("Folder the files are laid out in; made when missing.")),
  ...partitionKeys(),
  ...commonKeys({ bytes_max: "32MiB", age_max: "5m" }),
});

type Config = v.InferOutput<typeof schema>;

/** Folders remembered as durable: a year of hours of one source. Beyond that all are made sure of again. */
const foldersMax = 10_000;

export const directory: SinkKind<Config> = {
  type: "directory",
  schema,
  delivery: (config) => deliveryOf(config),
  open: async (config, context) => new DirectorySink(config, context.doors.disk),
  check,
};

class DirectorySink implements Sink {
  readonly #root: string;
  readonly #disk: Disk;
  readonly holdings: Holdings;
  /** Folders that this process has seen made and synced, with all above them. */
  readonly #durable = new Set<string>();

  constructor(config: Config, disk: Disk) {
    this.#root = `${config.dir}/${config.prefix}`;
    this.#disk = disk;
    this.holdings = holdingsOf(config, disk);
  }

  async put(batch: Batch, signals: Signals): Promise<Receipt> {
    const folder = join(`${this.#root}${batch.lane}`);
    const target = join(folder, batch.name);
    const temporary = join(folder, `.${batch.name}.tmp`);
    try {
      if (!this.#durable.has(folder)) await this.#makeDurable(folder);
      // Not asked for before: it is there after a crash between this and the journal only, and each call is a twelfth of a delivery.
      await this.#write(temporary, batch, signals);
      const published = await this.#publish(temporary, target);
      await this.#disk.remove(temporary);
      if (published) {
        await this.#disk.syncDirectory(folder);
        return { outcome: "delivered" };
      }
      if (!(await holds(this.#disk, target, batch))) return { outcome: "forked" };
      // It may stand there from before a crash that came ahead of this sync.
      await this.#disk.syncDirectory(folder);
      return { outcome: "delivered" };
    } catch (cause) {
      await this.#disk.remove(temporary).catch(() => {}); // the fault at hand is the one to tell
      throw classify(cause, `write file ${target}`);
    }
  }

  async #write(path: string, batch: Batch, signals: Signals): Promise<void> {
    await using file = await this.#create(path);
    let at = 0;
    const body = batch.body()[Symbol.asyncIterator]();
    for (;;) {
      // Not `for await`: at the kill a part that is still being read is not waited for.
      const next = await orAborted(body.next(), signals.kill);
      if (next === undefined) throw new Fault({ code: "delivery_cut", retry: "later", message: `write file ${path}: cut short` });
      if (next.done === true) break;
      await file.write([next.value], at);
      at += next.value.byteLength;
    }
    await file.datasync();
  }

  async #create(path: string): Promise<DiskFile> {
    try {
      return await this.#disk.open(path, "create");
    } catch (cause) {
      const errno = errnoOf(cause);
      if (errno !== "ENOENT" && errno !== "EEXIST") throw cause;
      if (errno === "EEXIST") await this.#disk.remove(path); // a leftover of a crash
      else await this.#makeDurable(dirname(path), "again"); // somebody took the folder away
      return this.#disk.open(path, "create");
    }
  }

  async #makeDurable(folder: string, again?: "again"): Promise<void> {
    if (again !== undefined || this.#durable.size >= foldersMax) this.#durable.clear();
    for (const made of await makeDurable(this.#disk, folder, this.#durable)) this.#durable.add(made);
  }

  /** False when the name is taken. */
  async #publish(temporary: string, target: string): Promise<boolean> {
    try {
      await this.#disk.link(temporary, target);
      return true;
    } catch (cause) {
      const errno = errnoOf(cause) ?? "";
      if (errno === "EEXIST") return false;
      // File systems without hard links (FAT, some FUSE and SMB mounts) answer with one of these. Their rename replaces,
      // so look once more; between look and rename nobody else writes a name with our spool's id in it.
      if (!["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(errno)) throw cause;
      if ((await this.#disk.stat(target, false)) !== undefined) return false;
      await this.#disk.rename(temporary, target);
      return true;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** Whether the file at `path` holds exactly this batch. */
async function holds(disk: Disk, path: string, batch: Batch): Promise<boolean> {
  const found = await disk.stat(path, false);
  if (found === undefined || found.kind !== "file" || found.bytes !== batch.bytes) return false;
  return (await hashOf(disk, path)) === batch.digest;
}

async function check(config: Config, context: CheckContext): Promise<Finding[]> {
  const { disk, random } = context.doors;
  const what = `write and remove a file in ${config.dir}`;
  try {
    // A folder that is missing is made by the first batch, not by a check: its nearest parent is asked.
    let folder = config.dir;
    while ((await disk.stat(folder)) === undefined && dirname(folder) !== folder) folder = dirname(folder);
    const probe = join(folder, `.logferry-check-${Buffer.from(random.bytes(8)).toString("hex")}`);
    {
      await using file = await disk.open(probe, "create");
      await file.write([new TextEncoder().encode("logferry check\n")], 0);
      await file.datasync();
    }
    await disk.remove(probe);
    return [{ ok: true, what }];
  } catch (cause) {
    const fault = classify(cause, what);
    return [{ ok: false, what, code: fault.code, message: fault.message, hint: fault.hint ?? "" }];
  }
}
