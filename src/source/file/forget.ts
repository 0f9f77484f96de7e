/** Positions of files that are gone for now: kept for a while, since a mount or a restore may bring them back. */
import type { PositionDelta } from "../../core/contract.ts";
import { positionToJson, type Position } from "./position.ts";

const hourMs = 3_600_000;
/** A file that is gone may come back (a mount, a restore): its position is kept for a week, that of a deleted one for an hour. */
export const keptMs = { gone: 7 * 24 * hourMs, deleted: hourMs };

/** Those that have no end yet end at `until`, wall milliseconds. Returns what is to be committed. */
export function forgetAt(lost: Map<string, Position>, until: number): PositionDelta {
  const delta: Record<string, PositionDelta[string]> = {};
  for (const [id, position] of lost) {
    if (position.forget !== undefined) continue;
    const ending = { ...position, forget: until };
    lost.set(id, ending);
    delta[id] = positionToJson(ending);
  }
  return delta;
}

/** Forgets those whose end has come. Returns what is to be committed. */
export function expire(lost: Map<string, Position>, now: number): PositionDelta {
  const delta: Record<string, null> = {};
  for (const [id, { forget }] of lost) {
    if (forget === undefined || forget > now) continue;
    lost.delete(id);
    delta[id] = null;
  }
  return delta;
}
