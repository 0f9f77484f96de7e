/**
 * Somebody unpacks a file that we have read compressed: it grows under its plain name, and shorter than what was read nothing tells it from
 * a new one. So it is left alone while it grows; once it holds what was read, it is known as a copy (identity.ts).
 *
 * What is waited for bears the compressed name without its ending, begins alike as far as it goes, and changed within the last 30 seconds by
 * the wall clock. Never a live name (`app.log` beside `app.log.gz`): a log that always begins with the same lines would be read late; whoever
 * unpacks over that name may have it read again.
 */
import type { SourceContext } from "../../core/contract.ts";
import { plainName } from "./compressed.ts";
import type { Candidate } from "./examine.ts";
import type { Found } from "./found.ts";
import { markOf, stemOf } from "./identity.ts";
import type { Position } from "./position.ts";
import { cutMs } from "./readings.ts";

/** Whether `candidate`, of which a look has found `stat`, may be about to become what one of `known` holds. With `once` there is no later look that could tell. */
export function isUnpacking({ once, doors }: SourceContext, candidate: Candidate, { stat }: Found, known: readonly Position[]): boolean {
  if (once || Math.abs(doors.clock.now() - stat.modifiedMs) >= cutMs || stemOf(candidate.path) === candidate.path) return false;
  return known.some(({ path, packed, offset, head }) => {
    if (packed === undefined || candidate.bytes >= offset || plainName(path) !== candidate.path) return false;
    return candidate.head.byteLength < head.n || markOf(candidate.head.subarray(0, head.n)).hash === head.hash;
  });
}
