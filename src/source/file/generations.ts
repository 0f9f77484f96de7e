/** Generations of one log: which of them are rotated, and which has to be read before which. By their names alone. */
import type { Found } from "./found.ts";
import { rotatedFrom } from "./identity.ts";
import type { Tracked } from "./tracked.ts";

/** A name such as `app.log.1` beside `app.log` is a rotated one, also after a restart that did not see it renamed. */
export function markRotated(files: Iterable<Tracked>, found: ReadonlyMap<string, Found>): void {
  const live = new Set([...found.values()].map((seen) => seen.path));
  for (const file of files) {
    if (file.state !== "live") continue;
    const base = rotatedFrom(file.path);
    const renamed = file.path !== file.name && (base !== file.path || live.has(file.name));
    if (renamed || (base !== file.path && live.has(base))) file.state = "rotated";
  }
}

/** The generation of `family` that has to be read to its end before `file`. What bears the live name is the newest of its family. */
export function generationBefore(file: Tracked, family: readonly Tracked[]): Tracked | undefined {
  const newest = file.path === rotatedFrom(file.path);
  let before = file.after;
  for (const other of family) {
    const older = newest || (other.path !== rotatedFrom(other.path) && other.modifiedMs <= file.modifiedMs);
    if (older && (before === undefined || before.modifiedMs <= other.modifiedMs)) before = other;
  }
  return before;
}
