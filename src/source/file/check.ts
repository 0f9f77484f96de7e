/** `check` for the file source: does every pattern match something, and may this user read it? */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { unreadable } from "./faults.ts";
import { findFiles, type Globs } from "./found.ts";

/** One finding for each thing that is wrong, or one that says how many files can be read. */
export async function check(globs: Globs, context: CheckContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  const report = (fault: Fault): void => {
    findings.push({ ok: false, what: "read the files of include", code: fault.code, message: fault.message, hint: fault.hint ?? "" });
  };
  const found = await findFiles(context.doors.disk, globs, report);
  let readable = 0;
  for (const { path, target } of found.values()) {
    try {
      await using handle = await context.doors.disk.open(target, "nofollow");
      await handle.read(new Uint8Array(1), 0);
      readable++;
    } catch (cause) {
      report(unreadable("open", path, cause));
    }
  }
  if (readable > 0) findings.unshift({ ok: true, what: `read ${readable} ${readable === 1 ? "file" : "files"}` });
  return findings;
}
