/** What can be wrong with a path, as faults with a hint. */
import { errnoOf, Fault } from "../../core/fault.ts";
import type { FileKind } from "../../core/disk.ts";

/** Why a file or folder cannot be read. `what` is the operation: `open`, `list`, `read`. */
export function unreadable(what: string, path: string, cause: unknown): Fault {
  const errno = errnoOf(cause);
  if (errno === "EACCES" || errno === "EPERM") {
    const hint = `let the user that logferry runs as read it, for example: setfacl -m u:logferry:${what === "list" ? "rx" : "r"} ${path}`;
    return new Fault({ code: "file_permission_denied", retry: "later", message: `${what} ${path}`, hint, cause });
  }
  if (errno === "EMFILE" || errno === "ENFILE") {
    const hint = "lower open_files_max, or raise the limit on descriptors (LimitNOFILE= in the unit)";
    return new Fault({ code: "file_too_many_open", retry: "later", message: `${what} ${path}`, hint, cause });
  }
  if (errno === "ESTALE") {
    const hint = "the file server has removed or moved it; it is looked for again under its name";
    return new Fault({ code: "file_unreadable", retry: "later", message: `${what} ${path}`, hint, cause });
  }
  const hint = "see the kernel log for errors of the disk or mount; it is tried again and other files go on";
  return new Fault({ code: "file_unreadable", retry: "later", message: `${what} ${path}`, hint, cause });
}

/** A glob may match nothing today; a path that was named should be there. */
export function noMatch(pattern: string, named: boolean): Fault {
  if (named) {
    const hint = "check the path and that its folder may be read, or wait: it is taken as soon as it appears";
    return new Fault({ code: "file_missing", retry: "later", message: `there is no file ${pattern}`, hint });
  }
  const hint = "check the path and that the folder may be read, or wait: it is taken as soon as it appears";
  return new Fault({ code: "file_no_match", retry: "later", message: `no file matches ${pattern}`, hint });
}

export function notRegular(path: string, kind: FileKind): Fault {
  const what = kind === "directory" ? "a folder" : kind === "socket" ? "a socket" : "a pipe or device";
  const hint = kind === "directory" ? `to read the files in it, include ${path}/*` : "only regular files are read: leave it out with exclude";
  return new Fault({ code: "file_not_regular", retry: "later", message: `${path} is ${what}, not a file`, hint });
}

export function symlinkRefused(path: string, target: string): Fault {
  const hint = "if that is wanted, add the target's folder to symlink_roots";
  return new Fault({ code: "file_symlink_refused", retry: "later", message: `${path} leads to ${target}, outside the folders of the globs`, hint });
}

export function lineCut(path: string, bytesMax: number): Fault {
  const hint = "raise line_bytes_max if such lines are wanted whole";
  return new Fault({ code: "file_line_truncated", retry: "later", message: `cut a line of ${path} at ${bytesMax} bytes`, hint });
}

export function truncated(path: string, bytes: number): Fault {
  const hint =
    "rotate with rename and create instead of copytruncate, or include the copies: what was written between the last read and the cut is then taken from them";
  return new Fault({
    code: "file_truncated_unread",
    retry: "later",
    message: `${path} was cut while at least ${bytes} bytes were not read yet`,
    hint,
  });
}

export function deletedUnread(path: string, bytes: number): Fault {
  const hint = "it was deleted before it was read, and deleted files held more than deleted_bytes_max: keep rotated files longer, or raise it";
  return new Fault({ code: "file_deleted_unread", retry: "later", message: `gave up ${path} with ${bytes} bytes not read yet`, hint });
}

/** `read`: bytes of its content that could be read. */
export function packedDamaged(path: string, ending: "cut" | "foreign" | "damaged", read: number): Fault {
  const what =
    ending === "cut"
      ? `${path} ends in the middle of its compressed data`
      : ending === "foreign"
        ? `${path} has something behind its compressed data that is none`
        : `the compressed data of ${path} is damaged`;
  const hint =
    ending === "foreign"
      ? "all of the compressed data was read, what is behind it was left out"
      : "what comes before was read; if the file can be had whole from elsewhere, put it in its place: reading goes on where it stopped";
  return new Fault({ code: "file_compressed_damaged", retry: "later", message: `${what}; ${read} bytes of content were read`, hint });
}

export function packedShort(path: string, name: string, bytes: number): Fault {
  const hint = "it was taken for a copy of what was read: the last lines of the original are in the records and not in this file";
  return new Fault({
    code: "file_compressed_short",
    retry: "later",
    message: `${path} begins as ${name} did and has ${bytes} bytes less than were read of that`,
    hint,
  });
}

export function nulsSkipped(path: string, bytes: number): Fault {
  const hint = "its writer kept its place when the file was truncated: let it open the file for appending, or rotate by rename and create";
  return new Fault({ code: "file_nuls_skipped", retry: "later", message: `left out ${bytes} NUL bytes in ${path}`, hint });
}

export function goneUnread(path: string, bytes: number): Fault {
  const hint = "no descriptor was free for it while it was there: raise open_files_max, keep rotated files longer, or include its copies";
  return new Fault({ code: "file_deleted_unread", retry: "later", message: `${path} is gone with at least ${bytes} bytes not read yet`, hint });
}
