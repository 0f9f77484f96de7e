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
  /** Of a frame: where its payload begins. */
  readonly payloadAt: number | undefined;
}

/** Does it; returns where, or undefined when there was nothing fit for it. `hit` are the files that were hit before; `power`: the power was lost just now. */
export function rot(
  disk: SimDisk,
  random: Seeded,
  model: Model,
  hit: Set<string>,
  power: boolean,
  more: Seeded,
  sectors: boolean,
): string | undefined {
  const drawn = random.pick([/\/segments\//, /\/segments\//, /\/positions\.[ab]$/, /\/spool\.json$/]);
  const kind = more.chance(0.25) ? /\/sinks\/\w+\.journal$/ : drawn;
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
  if (path.endsWith(".journal")) {
    const at = placeInJournal(bytes, more);
    if (at === undefined) return undefined;
    disk.flip(path, at);
    return `${path} at byte ${at}`;
  }
  if (!path.includes("/segments/")) {
    const at = random.below(bytes.byteLength);
    disk.flip(path, at);
    return `${path} at byte ${at}`;
  }
  const regions = regionsOf(bytes);
  if (regions === undefined || regions.length === 0) return undefined;
  const kinds = [...new Set(regions.map((region) => region.kind))];
  const kindDrawn = kinds.includes("commit") && random.chance(0.5) ? "commit" : random.pick(kinds);
  const kindHit = sectors && kinds.includes("frame") ? "frame" : kindDrawn;
  const region = random.pick(regions.filter((each) => each.kind === kindHit));
  const at = region.at + random.below(region.end - region.at);
  for (const key of region.keys) model.mayMiss.add(key);
  if (sectors && region.payloadAt !== undefined) {
    disk.unreadable.push({ path, at: region.payloadAt });
    return `${path} cannot be read at byte ${region.payloadAt}: ${region.keys[0]} to ${region.keys.at(-1)}`;
  }
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
    regions.push({ kind: block.kind, at, end, keys, payloadAt: block.kind === "frame" ? at + length : undefined });
    if (block.kind === "seal") sealed = end;
    at = end;
  }
  return regions.filter((region) => region.end <= sealed);
}

/**
 * A byte of a line that may rot: any that a whole one follows, since the last looks like a torn write. Not of a plan that is not delivered
 * yet, nor of one that was cancelled: what stands there is known nowhere else, and it may arrive twice.
 */
function placeInJournal(bytes: Uint8Array, more: Seeded): number | undefined {
  const lines = Buffer.from(bytes).toString("latin1").split("\n").slice(0, -2);
  const entries = lines.map((line) => entryOf(line.slice(9)));
  const delivered = new Set(entries.flatMap((entry) => (entry?.kind === "delivered" ? [entry.id] : [])));
  const places: number[] = [];
  let at = 0;
  for (const [i, line] of lines.entries()) {
    const entry = entries[i];
    const alone = entry === undefined || entry.kind === "cancelled" || (entry.kind === "planned" && !delivered.has(entry.id));
    if (!alone) places.push(at + more.below(line.length));
    at += line.length + 1;
  }
  return places.length === 0 ? undefined : more.pick(places);
}

function entryOf(json: string): { readonly kind?: string; readonly id?: number } | undefined {
  try {
    return JSON.parse(json) as { kind?: string; id?: number };
  } catch {
    return undefined; // damaged already
  }
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
