/**
 * A secret in a file: read when it is used, and again when the file has changed, so that a rotated token needs no restart.
 * Also for certificates and keys (PEM). Its content goes nowhere but to whoever asked: never into a log or a message.
 */
import type { Disk, FileStat } from "./disk.ts";
import { Fault } from "./fault.ts";

export interface Secret {
  readonly path: string;
  /**
   * The text as it is now, without white space at its ends. Rejects with Fault `secret_unreadable` (denied) when the file
   * is missing, not readable, empty, or too large for a secret.
   */
  read(): Promise<string>;
}

/** A chain of certificates is the largest thing kept here: ten of 4 KiB, with room. */
const secretBytesMax = 256 * 1024;

export function openSecret(disk: Disk, path: string): Secret {
  let known: { stat: FileStat; text: string } | undefined;
  return {
    path,
    async read() {
      try {
        const stat = await disk.stat(path);
        if (known !== undefined && stat !== undefined && same(known.stat, stat)) return known.text;
        const text = await readText(disk, path);
        // The stat from before the read: a change in between is seen at the next call.
        known = stat === undefined ? undefined : { stat, text };
        return text;
      } catch (cause) {
        throw new Fault({
          code: "secret_unreadable",
          retry: "denied",
          message: `read secret file ${path}`,
          hint: "put the secret into this file, readable for the user logferry runs as; it is read again by itself",
          cause,
        });
      }
    },
  };
}

async function readText(disk: Disk, path: string): Promise<string> {
  await using file = await disk.open(path, "read");
  const stat = await file.stat();
  if (stat.kind === "directory") throw new Error("is a directory");
  const bytes = new Uint8Array(secretBytesMax + 1);
  const length = await file.read(bytes, 0);
  if (length > secretBytesMax) throw new Error("is too large for a secret");
  const text = Buffer.from(bytes.buffer, 0, length).toString("utf8").trim();
  if (text === "") throw new Error("is empty");
  return text;
}

function same(before: FileStat, now: FileStat): boolean {
  return before.inode === now.inode && before.device === now.device && before.bytes === now.bytes && before.modifiedMs === now.modifiedMs;
}
