/** Bugs to plant into the file source, one at a time: each a small change of the text of one file. What is replaced must be there, once. */
import type { PlantedBug } from "../sim/bugs.ts";

const catalog = "src/source/file/catalog.ts";
const reader = "src/source/file/reader.ts";
const identity = "src/source/file/identity.ts";

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "a file that lost its name is closed and not drained",
    file: catalog,
    replace: `else if (file.state === "live") file.state = "rotated";`,
    by: "else missing.push(file);",
  },
  {
    name: "reading goes on at the old offset after a truncation",
    file: reader,
    replace: `if (got < tailBytes || !file.tailMatches(buffer.subarray(0, tailBytes))) return "cut";`,
    by: `if (got < tailBytes) return "cut";`,
  },
  {
    name: "the inode alone says which file it is",
    file: identity,
    replace: `  if (facts.size === "below") return { verdict: "new", row: 1 };
  if (facts.head !== "equal") return { verdict: "new", row: 2 };
  if (facts.tail === "different") return { verdict: "new", row: 3 };
`,
    by: `  if (facts.size === "below") return { verdict: "new", row: 1 };
`,
  },
  {
    name: "the bytes before the offset are not looked at after a restart",
    file: identity,
    replace: `  if (facts.tail === "different") return { verdict: "new", row: 3 };
`,
    by: "",
  },
  {
    name: "a copy is another file",
    file: identity,
    replace: `return holdsAll ? { verdict: "copy", row: 11 } : { verdict: "new", row: 12 };`,
    by: `return { verdict: "new", row: 12 };`,
  },
  {
    name: "a copy is read while its original stands",
    file: identity,
    replace: `return holdsAll ? { verdict: "watch", row: 10 } : { verdict: "new", row: 9 };`,
    by: `return { verdict: "new", row: 9 };`,
  },
  {
    name: "a copy is read from 0 for its original",
    file: catalog,
    replace: `if ((await judge(candidate, position, undefined)).verdict === "copy") return this.#adopt(id, position, seen, candidate);`,
    by: `if ((await judge(candidate, position, undefined)).verdict === "copy")
          return this.#adopt(id, { ...unreadPosition(seen.path, seen.stat) }, seen, candidate);`,
  },
  {
    name: "a comparison with a file truncated meanwhile is believed",
    file: catalog,
    replace: `if (verdict === "watch" || (await file.stands())) return verdict;`,
    by: `if (verdict !== "copy") return verdict;`,
  },
  {
    name: "a file that was lost is taken for the copy that goes on for it",
    file: catalog,
    replace: "return this.files.get(file.id) === file;",
    by: "return this.files.has(file.id);",
  },
  {
    name: "what a look itself finds to be cut has no copy in that look",
    file: catalog,
    replace: "kin.lost.set(stem, [...(kin.lost.get(stem) ?? []), [file.id, known]]);",
    by: "",
  },
  {
    name: "what was renamed out of the globs while we were down is not looked for",
    file: catalog,
    replace: "if (this.#first || missing.length > 0)",
    by: "if (!this.#first && missing.length > 0)",
  },
  {
    name: "a file that was cut is not followed any more",
    file: catalog,
    replace: "    anew.state = state;\n    this.#options.enqueue(anew);",
    by: "    anew.state = state;\n    this.files.delete(anew.id);",
  },
  {
    name: "the position lags one chunk behind the data",
    file: reader,
    replace: "    file.advance(view, before);\n    if (copied)",
    by: "    queueMicrotask(() => file.advance(view, before));\n    if (copied)",
  },
  {
    name: "half a line counts as one",
    file: reader,
    replace: "const end = ends.last(buffer, got, base);",
    by: "const end = got;",
  },
];
