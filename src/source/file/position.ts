/**
 * What is committed of a file, under a random key of its own: renaming a file keeps the key.
 *
 *     { path, name?, device, inode, head: [n, hash], tail: [n, hash], offset, skipping?, state?, forget?, packed? }
 *
 * It moves only in the commit group of the data it covers. `offset` is always a line end, or within a line that was cut
 * (`skipping`: the rest up to the line end is not to be read). Where lines are put together it is the begin of the first event that
 * has not ended; `state` is the pipeline's (Flow in core/flow.ts). The tail ends at the offset; the head never reaches beyond it.
 * Of a compressed file (`packed`: `"gzip"`, or `["gzip", bytes, hash]` once it was read to its end) all of these are of its content.
 */
import type { Json } from "../../core/contract.ts";
import type { Packing } from "../../core/unpack.ts";
import { headBytesMax, tailBytesMax, type Mark } from "./identity.ts";

/** How a file is compressed, and once all of it was read: its bytes on disk, and the hash of the last of them, by which it is known again. */
export interface Packed {
  readonly packing: Packing;
  readonly done: { readonly bytes: number; readonly hash: string } | undefined;
}

export interface Position {
  /** Where it was last seen. */
  readonly path: string;
  /** What its records call it: the name it was written under. */
  readonly name: string;
  readonly device: number;
  readonly inode: number;
  readonly head: Mark;
  readonly tail: Mark;
  readonly offset: number;
  readonly skipping: boolean;
  readonly state?: Json;
  /** Undefined: it is not compressed. */
  readonly packed?: Packed | undefined;
  /** Wall milliseconds when it expires; undefined while the file is there. A clock that jumps ahead forgets early, and no more. */
  readonly forget: number | undefined;
}

export function positionToJson(position: Position): Json {
  const { path, name, device, inode, head, tail, offset, skipping, state, packed, forget } = position;
  return {
    path,
    ...(name === path ? {} : { name }),
    device,
    inode,
    head: [head.n, head.hash],
    tail: [tail.n, tail.hash],
    offset,
    ...(skipping ? { skipping } : {}),
    ...(state === undefined ? {} : { state }),
    ...(forget === undefined ? {} : { forget }),
    ...(packed === undefined ? {} : { packed: packed.done === undefined ? packed.packing : [packed.packing, packed.done.bytes, packed.done.hash] }),
  };
}

/** Undefined when it is none of ours: the file is then read anew rather than from a wrong place. */
export function positionFromJson(json: Json): Position | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return undefined;
  const value = json as { readonly [key: string]: Json };
  const head = markFromJson(value["head"], headBytesMax);
  const tail = markFromJson(value["tail"], tailBytesMax);
  const { path, name = path, device, inode, offset, state, forget } = value;
  if (head === undefined || tail === undefined || typeof path !== "string" || typeof name !== "string") return undefined;
  if (typeof device !== "number" || typeof inode !== "number" || typeof offset !== "number") return undefined;
  if (!Number.isSafeInteger(offset) || offset < Math.max(head.n, tail.n)) return undefined;
  return {
    path,
    name,
    device,
    inode,
    head,
    tail,
    offset,
    skipping: value["skipping"] === true,
    ...(state === undefined ? {} : { state }),
    packed: packedFromJson(value["packed"]),
    forget: typeof forget === "number" ? forget : undefined,
  };
}

function packedFromJson(json: Json | undefined): Packed | undefined {
  const [packing, bytes, hash] = Array.isArray(json) ? (json as readonly Json[]) : [json];
  if (packing !== "gzip" && packing !== "zstd") return undefined;
  return { packing, done: typeof bytes === "number" && typeof hash === "string" ? { bytes, hash } : undefined };
}

function markFromJson(json: Json | undefined, countMax: number): Mark | undefined {
  if (!Array.isArray(json)) return undefined;
  const [n, hash] = json as readonly Json[];
  if (typeof n !== "number" || !Number.isInteger(n) || n < 0 || n > countMax || typeof hash !== "string") return undefined;
  return { n, hash };
}
