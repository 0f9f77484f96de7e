/** What an error of the file system means to a `directory` sink: every errno as later or denied, with what to do. */
import { errnoOf, Fault } from "../../core/fault.ts";

const faults: Record<string, { code: string; retry: "later" | "denied"; hint: string }> = {
  ENOSPC: { code: "directory_no_space", retry: "later", hint: "free space on the file system of this folder; shipping goes on by itself" },
  EDQUOT: { code: "directory_no_space", retry: "later", hint: "raise the quota or free space; shipping goes on by itself" },
  EACCES: { code: "directory_access_denied", retry: "denied", hint: "let the user logferry runs as read and write this folder" },
  EPERM: { code: "directory_access_denied", retry: "denied", hint: "let the user logferry runs as read and write this folder" },
  EROFS: { code: "directory_read_only", retry: "denied", hint: "mount the file system of this folder for writing" },
  ENOTDIR: {
    code: "directory_path_invalid",
    retry: "denied",
    hint: "a part of the path is a file: choose another dir or prefix, or move the file away",
  },
  EEXIST: {
    code: "directory_path_invalid",
    retry: "denied",
    hint: "a part of the path is a file: choose another dir or prefix, or move the file away",
  },
  EISDIR: { code: "directory_path_invalid", retry: "denied", hint: "a folder stands where a file should be: move it away" },
  ELOOP: { code: "directory_path_invalid", retry: "denied", hint: "the path holds symbolic links that lead in a circle" },
  ENAMETOOLONG: { code: "directory_path_invalid", retry: "denied", hint: "shorten dir, prefix or partition" },
};

/** The Fault for anything an operation (`write file …`) failed with. A Fault passes as it is. */
export function classify(cause: unknown, message: string): Fault {
  if (cause instanceof Fault) return cause;
  const known = faults[errnoOf(cause) ?? ""];
  if (known !== undefined) return new Fault({ ...known, message, cause });
  return new Fault({ code: "directory_failed", retry: "later", message, hint: "look at the file system of this folder; it is tried again", cause });
}
