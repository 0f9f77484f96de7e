/**
 * What lies in the folder of a `directory` sink: found by walking it, every time.
 *
 * Folders and files that begin with a dot are passed over (what is being written begins with one), symbolic links are not
 * followed. Memory: the names of the folders on the way down, and of one folder whole.
 */
import type { Held, Holdings } from "../../core/holdings.ts";
import type { Disk } from "../../core/disk.ts";
import { errnoOf, Fault } from "../../core/fault.ts";
import { classify } from "./fault.ts";

/** What is read at once. */
const pieceBytes = 256 * 1024;

export function holdingsOf({ dir, prefix }: { readonly dir: string; readonly prefix: string }, disk: Disk): Holdings {
  const pathOf = (held: Held): string => `${dir}/${prefix}${held.lane}/${held.name}`;
  return {
    async *list(wanted, kill) {
      await mustExist(disk, dir);
      // The prefix need not end with a folder: `raw-` begins the names of several.
      const start = prefix.slice(0, prefix.lastIndexOf("/") + 1);
      yield* walk(disk, dir, start, prefix, wanted, kill);
    },
    async describe(held) {
      const path = pathOf(held);
      try {
        if ((await disk.stat(path, false)) === undefined) return undefined;
        return { digest: await hashOf(disk, path), records: undefined };
      } catch (cause) {
        throw classify(cause, `read file ${path}`);
      }
    },
    async *read(held) {
      const path = pathOf(held);
      try {
        yield* piecesOf(disk, path);
      } catch (cause) {
        throw classify(cause, `read file ${path}`);
      }
    },
  };
}

/** Of a folder that is not there nobody knows what it holds: it may be a mount that is missing. */
async function mustExist(disk: Disk, dir: string): Promise<void> {
  if ((await disk.stat(dir).catch((cause: unknown) => Promise.reject(classify(cause, `list folder ${dir}`)))) !== undefined) return;
  throw new Fault({
    code: "directory_missing",
    retry: "later",
    message: `list folder ${dir}: there is none`,
    hint: "mount it; or make it, if nothing was ever delivered to it",
  });
}

/** `folder` is relative to `dir`, `""` or with a `/` at its end. */
async function* walk(
  disk: Disk,
  dir: string,
  folder: string,
  prefix: string,
  wanted: (name: string) => boolean,
  kill: AbortSignal,
): AsyncGenerator<Held> {
  const here = `${dir}/${folder}`;
  try {
    const names = (await disk.stat(here)) === undefined ? [] : await disk.list(here);
    for (const name of names) {
      if (kill.aborted) return;
      const path = `${folder}${name}`;
      if (name.startsWith(".") || !(path.startsWith(prefix) || prefix.startsWith(`${path}/`))) continue;
      const found = await disk.stat(`${here}${name}`, false);
      const slash = path.lastIndexOf("/");
      // Above a folder there is no lane: a file there is none of ours.
      if (found?.kind === "file" && slash > prefix.length - 1 && wanted(name)) {
        yield { lane: path.slice(prefix.length, slash), name, bytes: found.bytes };
      } else if (found?.kind === "directory") yield* walk(disk, dir, `${path}/`, prefix, wanted, kill);
    }
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return; // removed while we looked
    throw classify(cause, `list folder ${here}`);
  }
}

/** SHA-256 of a file, hex. Rejects with the disk's error, ELOOP for a symbolic link. */
export async function hashOf(disk: Disk, path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const piece of piecesOf(disk, path)) hash.update(piece);
  return hash.digest("hex");
}

/** Each piece is the same buffer. */
async function* piecesOf(disk: Disk, path: string): AsyncGenerator<Uint8Array> {
  await using file = await disk.open(path, "nofollow");
  const buffer = new Uint8Array(pieceBytes);
  for (let at = 0; ;) {
    const count = await file.read(buffer, at);
    if (count === 0) return;
    yield buffer.subarray(0, count);
    at += count;
  }
}
