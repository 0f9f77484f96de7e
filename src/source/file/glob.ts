/**
 * Globs, walked one folder at a time: a folder is only listed when some segment of the pattern asks for its names.
 *
 * `*`, `?`, `[…]` and `{…}` match within a name, `**` any number of folders (symlinks to folders are not entered by it, so
 * it always ends). Names that begin with a dot are matched only by a segment that begins with one. Matching of a name is
 * Bun.Glob's; walking is ours since it has to go through the Disk door and has to say which folder could not be read.
 */
import { basename } from "node:path";
import { errnoOf } from "../../core/fault.ts";
import type { Folders } from "./folders.ts";

type Segment =
  | { readonly kind: "literal"; readonly name: string }
  | { readonly kind: "any" }
  | { readonly kind: "glob"; readonly glob: Bun.Glob; readonly dots: boolean };

export interface Pattern {
  /** As the user wrote it. */
  readonly text: string;
  /** The folder it begins with: all before the first segment that holds a wildcard. */
  readonly root: string;
  /** Only wildcards that stand for every name: a folder among the matches is no surprise then. */
  readonly everyName: boolean;
  /** A path, without wildcards. */
  readonly named: boolean;
  readonly segments: readonly Segment[];
}

/** How deep `**` goes: beyond any folder tree made by people. */
const depthMax = 64;
const magic = /[*?[\]{}\\]/;

/** `text` must be absolute. Braces are spelled out, one pattern for each alternative, since they may hold slashes. */
export function compile(text: string): Pattern[] {
  return expandBraces(text).map((expanded) => {
    const segments = expanded
      .split("/")
      .filter((part) => part !== "")
      .map(toSegment);
    const fixed = segments.findIndex((segment) => segment.kind !== "literal");
    const names = segments.slice(0, fixed < 0 ? -1 : fixed).map((segment) => (segment.kind === "literal" ? segment.name : ""));
    const last = segments.at(-1);
    const everyName = last?.kind === "any" || /(^|\/)\*$/.test(expanded);
    return { text, root: `/${names.join("/")}`, everyName, named: !magic.test(text), segments };
  });
}

function toSegment(part: string): Segment {
  if (part === "**") return { kind: "any" };
  if (!magic.test(part)) return { kind: "literal", name: part };
  // A leading `!` would turn the match round: in a path it is just a character.
  return { kind: "glob", glob: new Bun.Glob(part.replace(/^!/, "\\!")), dots: part.startsWith(".") };
}

/** Every alternative spelled out, nested ones too; a brace without a partner stays as it is. */
export function expandBraces(text: string): string[] {
  let depth = 0;
  let open = -1;
  const commas: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === "\\") at++;
    else if (char === "{" && depth++ === 0) open = at;
    else if (char === "," && depth === 1) commas.push(at);
    else if (char === "}" && depth > 0 && --depth === 0) {
      const ends = [...commas, at];
      const parts = ends.map((end, index) => text.slice((index === 0 ? open : (ends[index - 1] ?? open)) + 1, end));
      return parts.flatMap((part) => expandBraces(text.slice(0, open) + part + text.slice(at + 1)));
    }
  }
  return [text];
}

/** Calls `onPath` for every path that may match, `onFault` for a folder that could not be listed. A path may come twice. */
export async function walk(
  folders: Folders,
  pattern: Pattern,
  onPath: (path: string) => void,
  onFault: (folder: string, cause: unknown) => void,
): Promise<void> {
  const list = async (folder: string): Promise<readonly string[]> => {
    try {
      return await folders.list(folder);
    } catch (cause) {
      // A wildcard in the middle meets files as well, and what was there a moment ago may be gone.
      if (!["ENOENT", "ENOTDIR"].includes(errnoOf(cause) ?? "")) onFault(folder, cause);
      return [];
    }
  };
  const step = async (folder: string, index: number, depth: number): Promise<void> => {
    const segment = pattern.segments[index];
    const last = index === pattern.segments.length - 1;
    if (segment === undefined) return;
    if (segment.kind === "literal") {
      const path = below(folder, segment.name);
      if (last) onPath(path);
      else await step(path, index + 1, depth);
      return;
    }
    const names = await list(folder);
    if (segment.kind === "glob") {
      for (const name of names) {
        if ((name.startsWith(".") && !segment.dots) || !segment.glob.match(name)) continue;
        if (last) onPath(below(folder, name));
        else await step(below(folder, name), index + 1, depth);
      }
      return;
    }
    if (!last) await step(folder, index + 1, depth);
    for (const name of names) {
      if (name.startsWith(".")) continue;
      const path = below(folder, name);
      if ((await folders.isFolder(folder, name)) && depth < depthMax) await step(path, index, depth + 1);
      else if (last) onPath(path);
    }
  };
  await step("/", 0, 0);
}

/** Names are joined as they are: a general `join` would look for `..` in each of ten thousand, every second. */
function below(folder: string, name: string): string {
  return folder === "/" ? `/${name}` : `${folder}/${name}`;
}

/** A test for what `exclude` names. */
export function compileExclude(texts: readonly string[]): (path: string) => boolean {
  const globs = texts.map((text) => ({ whole: text.includes("/"), glob: new Bun.Glob(text.replace(/^!/, "\\!")) }));
  return (path) => {
    const name = basename(path);
    return globs.some(({ whole, glob }) => glob.match(whole ? path : name));
  };
}
