/** What `/status` says of files: the public names, whichever source reads them. */

/**
 * `reading`: there is something to read. `idle`: read to its end, open. `closed`: read to its end, its descriptor given to another
 * (`open_files_max`). `waiting`: for a descriptor, or for an older generation of the same log. `draining`: renamed out of the globs,
 * rotated or deleted, with something left to read or a last line to wait for. `unreadable`: see `last_fault`. `refused`: never read,
 * `last_fault` says why.
 */
export type FileState = "reading" | "idle" | "closed" | "waiting" | "draining" | "unreadable" | "refused";

export interface FileStatus {
  path: string;
  /** Empty for one that was refused. */
  identity: string;
  /** Durable up to here. */
  offset: number;
  size: number;
  lag_bytes: number;
  state: FileState;
  /** It has no name of the globs any more: it was renamed, or removed while we hold it open. */
  gone?: "renamed" | "deleted";
  /** RFC 3339; missing while nothing was read since the start. */
  last_read_time?: string;
  /** The newest, also when it is over; a file that can be read again is in another state than `unreadable`. */
  last_fault?: { code: string; message: string; hint: string; time: string };
}

/** Files `/status` shows of a source when nobody asks for more: all of most hosts, and 200 KB at most. */
export const filesShown = 500;
