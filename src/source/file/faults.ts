/** What can be wrong with a path, as faults with a hint, and a ledger that reports each once per change of state. */
import type { Board, Severity } from "../../core/board.ts";
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

/** Left out on purpose or empty today: no reason for a run over what is there to fail. */
const harmless = new Set(["file_no_match", "file_not_regular", "file_symlink_refused"]);

/**
 * What stands on the board for one source. Each look reports all it meets; `settle` clears what was not met again,
 * so that nothing has to remember what it once reported.
 */
export class Ledger {
  readonly #board: Board;
  readonly #component: string;
  readonly #severity: Severity;
  #standing = new Map<string, { code: string; detail: string }>();
  #met = new Map<string, { code: string; detail: string }>();

  /** `once`: what cannot be read makes the run fail, since nobody comes back to it. */
  constructor(board: Board, component: string, once: boolean) {
    this.#board = board;
    this.#component = component;
    this.#severity = once ? "failing" : "degraded";
  }

  report(fault: Fault, detail: string): void {
    const key = `${fault.code}\n${detail}`;
    this.#met.set(key, { code: fault.code, detail });
    if (this.#standing.has(key)) return;
    this.#standing.set(key, { code: fault.code, detail });
    this.#board.raise(this.#component, harmless.has(fault.code) ? "degraded" : this.#severity, fault, detail);
  }

  settle(): void {
    for (const [key, { code, detail }] of this.#standing) {
      if (!this.#met.has(key)) this.#board.clear(this.#component, code, detail);
    }
    this.#standing = this.#met;
    this.#met = new Map();
  }
}
