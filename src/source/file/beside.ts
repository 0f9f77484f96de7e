/**
 * Files that match no glob, lie beside one that does, and look by their name like its rotation: what is in them is never read unless
 * we were there when they were renamed.
 */
import { basename, dirname } from "node:path";
import type { Disk } from "../../core/disk.ts";
import type { Finder, Globs } from "./found.ts";
import { rotatedFrom, stemOf } from "./identity.ts";

/** Files that one glob more would take. */
export interface Beside {
  readonly glob: string;
  readonly paths: readonly string[];
}

/** What cannot be read in any case is not named. */
const unreadable = /\.(?:bz2|xz|lz4|lzma|zip|7z|Z)$/i;
/** Six digits in a row or with marks between them are a date: `app-20261123.log`, `app-2026-11-23.log`. */
const date = /\d(?:[.\-_]?\d){5}/;

/** By the glob that would take them; `finder` has just looked. */
export async function rotatedBeside(disk: Disk, globs: Globs, finder: Finder, found: Iterable<{ readonly path: string }>): Promise<Beside[]> {
  const byGlob = new Map<string, string[]>();
  for (const [folder, known] of Map.groupBy(found, ({ path }) => dirname(path))) {
    const live = new Map(known.map(({ path }) => [stemOf(path), path]));
    for (const name of await disk.list(folder).catch(() => [])) {
      const path = folder === "/" ? `/${name}` : `${folder}/${name}`;
      const original = live.get(stemOf(path));
      if (original === undefined || finder.knows(path) || globs.excluded(path) || unreadable.test(name) || !looksRotated(path, original)) continue;
      const stat = await disk.stat(path, false).catch(() => undefined);
      if (stat?.kind !== "file") continue;
      const glob = globFor(path, original, globs);
      byGlob.set(glob, [...(byGlob.get(glob) ?? []), path]);
    }
  }
  return [...byGlob].map(([glob, paths]) => ({ glob, paths: paths.toSorted() }));
}

/** `node-2.log` is no rotation of `node-1.log`; `app-2.log` may be one of `app.log`, and what has a date in it is one. */
function looksRotated(path: string, original: string): boolean {
  return rotatedFrom(path) === rotatedFrom(original) || stemOf(original) === original || (date.test(basename(path)) && date.test(basename(original)));
}

/** The shortest change: a star behind a pattern that is there already, or else behind the name, or before its ending. */
function globFor(path: string, original: string, globs: Globs): string {
  const texts = new Set(globs.patterns.map(({ text }) => text));
  for (const text of texts) {
    if (matches(text, original) && matches(`${text}*`, path)) return `${text}*`;
  }
  const stem = stemOf(original);
  const behind = `${stem}*`;
  return matches(behind, path) ? behind : stem.replace(/(\.[^./]*)?$/, rotatedFrom(path) === path ? "[-._]*$1" : "[-._]*$1*");
}

function matches(glob: string, path: string): boolean {
  return new Bun.Glob(glob).match(path);
}
