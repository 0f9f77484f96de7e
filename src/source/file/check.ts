/** `check` for the file source: does every pattern match something, and may this user read it? */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { rotatedBeside } from "./beside.ts";
import { Descriptors } from "./descriptors.ts";
import { unreadable } from "./faults.ts";
import { Finder, type Globs } from "./found.ts";

/** Of one code: who sees that many knows what is wrong. */
const namedMax = 20;

/** A name or three say what kind of files they are. */
const pathsShown = 3;

/** One finding for each thing that is wrong, or one that says how many files can be read. */
export async function check(globs: Globs, context: CheckContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  const counts = new Map<string, number>();
  const add = (code: string, message: string, hint: string): void =>
    void findings.push({ ok: false, what: "read the files of include", code, message, hint });
  const report = ({ code, message, hint = "" }: Fault): void => {
    const count = (counts.get(code) ?? 0) + 1;
    counts.set(code, count);
    if (count <= namedMax) add(code, message, hint);
  };
  const finder = new Finder(context.doors.disk, globs, () => 0);
  const found = await finder.find(report);
  const descriptors = new Descriptors(context.doors.disk, 1, (place) => finder.allows(place), report);
  let readable = 0;
  for (const { path, target, stat } of found.values()) {
    try {
      const candidate = await descriptors.candidate(path, target, true, stat);
      if (candidate !== undefined) readable++;
      await candidate?.handle.close();
    } catch (cause) {
      report(unreadable("open", path, cause));
    }
  }
  for (const [code, count] of counts) {
    if (count > namedMax) add(code, `and ${count - namedMax} more like them`, "look what fills the folder, or leave it out with exclude");
  }
  if (readable > 0) findings.unshift({ ok: true, what: `read ${readable} ${readable === 1 ? "file" : "files"}` });
  for (const { glob, paths } of await rotatedBeside(context.doors.disk, globs, finder, found.values())) findings.push(advice(glob, paths));
  return findings;
}

function advice(glob: string, paths: readonly string[]): Finding {
  const some = paths.slice(0, pathsShown).join(", ");
  const more = paths.length > pathsShown ? ` and ${paths.length - pathsShown} more` : "";
  const plural = paths.length > 1;
  return {
    ok: true,
    what: "look for rotated files that no glob takes",
    code: "file_rotated_outside",
    message: `${paths.length} ${plural ? "files look" : "file looks"} rotated and ${plural ? "match" : "matches"} no glob: ${some}${more}`,
    hint: `add ${JSON.stringify(glob)} to include: what was rotated while logferry was not there is then read too`,
  };
}
