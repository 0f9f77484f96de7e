/**
 * Damage at rest between two lives: one bit of a segment, a checkpoint or the identity, wherever the spool promises that it
 * costs one frame at most. Left out is what nobody can mend: the last group of a segment whose seal is missing (rot there looks
 * like a torn write), one checkpoint where a power loss may have torn the other, and a second hit of the same file.
 */
import type { SimDisk } from "./disk.ts";
import { linesOf } from "./far.ts";
import { spoolDir } from "./host.ts";
import type { Model } from "./model.ts";
import type { Seeded } from "./random.ts";
import { keyOf, parseKey } from "./record.ts";
import { blockLength, decodeBlock } from "../../src/spool/format.ts";

interface Region {
  readonly kind: "head" | "frame" | "commit" | "seal";
  readonly at: number;
  readonly end: number;
  /** Of a frame: the keys of its records. */
  readonly keys: readonly string[];
}

/** Does it; returns where, or undefined when there was nothing fit for it. `hit` are the files that were hit before; `power`: the power was lost just now. */
export function rot(disk: SimDisk, random: Seeded, model: Model, hit: Set<string>, power: boolean): string | undefined {
  const kind = random.pick([/\/segments\//, /\/segments\//, /\/positions\.[ab]$/, /\/spool\.json$/]);
  const paths = disk.paths().filter((each) => each.startsWith(spoolDir) && kind.test(each));
  if (paths.length === 0) return undefined;
  // Mostly the newest: what was written since the last checkpoint is where recovery has to think.
  const path = random.chance(0.7) ? (paths.toSorted().at(-1) ?? "") : random.pick(paths);
  // Both checkpoints before one is written anew, or one file again: nothing is promised then.
  const twin = path.replace(/\.[ab]$/, "");
  if (hit.has(twin) || (power && path !== twin)) return undefined;
  hit.add(twin);
  // On the medium: a seal that is not there yet may be gone before the next start comes to look.
  const bytes = disk.durableOf(path) ?? new Uint8Array();
  if (bytes.byteLength === 0) return undefined;
  if (!path.includes("/segments/")) {
    const at = random.below(bytes.byteLength);
    disk.flip(path, at);
    return `${path} at byte ${at}`;
  }
  const regions = regionsOf(bytes);
  if (regions === undefined || regions.length === 0) return undefined;
  const kinds = [...new Set(regions.map((region) => region.kind))];
  const kindHit = kinds.includes("commit") && random.chance(0.5) ? "commit" : random.pick(kinds);
  const region = random.pick(regions.filter((each) => each.kind === kindHit));
  const at = region.at + random.below(region.end - region.at);
  for (const key of region.keys) model.mayMiss.add(key);
  disk.flip(path, at);
  return `${path} at byte ${at}, in a ${region.kind}${region.keys.length === 0 ? "" : ` of ${region.keys[0]} to ${region.keys.at(-1)}`}`;
}

/** The blocks of a segment up to its last seal; undefined when it is damaged already. */
function regionsOf(bytes: Uint8Array): Region[] | undefined {
  const regions: Region[] = [];
  let sealed = 0;
  for (let at = 0; at < bytes.byteLength;) {
    const length = blockLength(bytes, at);
    if (length === 0 || at + length > bytes.byteLength) break;
    const block = decodeBlock(bytes.subarray(at, at + length));
    if (block === undefined) return undefined;
    const end = at + length + (block.kind === "frame" ? block.payloadBytes : 0);
    if (end > bytes.byteLength) break;
    const keys = block.kind === "frame" ? keysOf(bytes.subarray(at + length, end)) : [];
    if (keys === undefined) return undefined;
    regions.push({ kind: block.kind, at, end, keys });
    if (block.kind === "seal") sealed = end;
    at = end;
  }
  return regions.filter((region) => region.end <= sealed);
}

function keysOf(payload: Uint8Array): string[] | undefined {
  try {
    return linesOf(payload, "zstd").flatMap((line) => {
      const found = parseKey(line);
      return found === undefined ? [] : [keyOf(found, found.n)];
    });
  } catch {
    return undefined;
  }
}
