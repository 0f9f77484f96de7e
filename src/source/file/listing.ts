/**
 * The files of a source as `/status` shows them: those first that somebody may have to look at, so that a few are enough of many.
 *
 * Costs one pass over the files and objects for those that are shown only: ten thousand files are counted in about a millisecond.
 */
import type { SourceStatus } from "../../core/contract.ts";
import type { FileState, FileStatus } from "../../core/files.ts";
import type { Standing } from "./ledger.ts";
import type { Tracked } from "./tracked.ts";

/** What is first to be looked at; within one state, the furthest behind. */
const urgency: Record<FileState, number> = { unreadable: 6, refused: 5, draining: 4, waiting: 3, reading: 2, idle: 1, closed: 0 };

/** Codes of paths that are no file of ours, and never read. */
const refusals = new Set(["file_not_regular", "file_symlink_refused", "file_permission_denied", "file_unreadable", "file_too_many_open"]);

export function stateOf(file: Tracked): FileState {
  if (file.fault !== undefined) return "unreadable";
  const left = file.queued || file.lagBytes > 0;
  if (left && (file.after?.drained === false || file.handle === undefined)) return "waiting";
  if (file.state === "deleted" || (file.state === "rotated" && (left || file.restBytes > 0))) return "draining";
  if (left) return "reading";
  return file.handle === undefined ? "closed" : "idle";
}

export function lagOf(files: Iterable<Tracked>): number {
  let lag = 0;
  for (const file of files) lag += file.lagBytes;
  return lag;
}

/** The part of the status that is about files. `unnamed`: refused paths beyond those that stand. */
export function listFiles(
  files: readonly Tracked[],
  standing: Iterable<Standing>,
  unnamed: number,
  filesMax: number,
): Pick<SourceStatus, "files" | "files_total" | "file_states"> {
  const states: Partial<Record<FileState, number>> = {};
  const count = (state: FileState, times = 1): void => {
    states[state] = (states[state] ?? 0) + times;
  };
  const paths = new Set<string>();
  for (const file of files) {
    count(stateOf(file));
    if (file.fault !== undefined) paths.add(file.path);
  }
  const refused = [...standing].filter(({ fault, detail }) => refusals.has(fault.code) && !paths.has(detail));
  if (refused.length + unnamed > 0) count("refused", refused.length + unnamed);
  const tracked = foremost(files, filesMax).map((file) => statusOf(file));
  const unreadable = tracked.filter(({ state }) => state === "unreadable").length;
  tracked.splice(unreadable, 0, ...refused.map((each) => refusedStatus(each)));
  return { files: tracked.slice(0, filesMax), files_total: files.length, file_states: states };
}

/** Negative when `a` is to be shown before `b`. */
function order(a: Tracked, b: Tracked): number {
  return urgency[stateOf(b)] - urgency[stateOf(a)] || b.lagBytes - a.lagBytes || (b.readAtMs ?? 0) - (a.readAtMs ?? 0);
}

/** The first `max` in that order: of many only those are ever sorted. */
function foremost(files: readonly Tracked[], max: number): Tracked[] {
  if (files.length <= max) return files.toSorted(order);
  const first: Tracked[] = [];
  for (const file of files) {
    const last = first.at(-1);
    if (first.length >= max && (last === undefined || order(file, last) >= 0)) continue;
    const at = first.findLastIndex((other) => order(other, file) <= 0) + 1;
    first.splice(at, 0, file);
    if (first.length > max) first.pop();
  }
  return first;
}

function statusOf(file: Tracked): FileStatus {
  const { id, path, durable, bytes, lagBytes, readAtMs, lastFault, state } = file;
  return {
    path: path.toWellFormed(),
    identity: id,
    offset: durable.offset,
    size: Math.max(bytes, durable.offset),
    lag_bytes: lagBytes,
    state: stateOf(file),
    ...(state === "deleted" ? { gone: "deleted" as const } : state === "rotated" && !file.named ? { gone: "renamed" as const } : {}),
    ...(readAtMs === undefined ? {} : { last_read_time: new Date(readAtMs).toISOString() }),
    ...(lastFault === undefined ? {} : { last_fault: faultOf(lastFault.fault, lastFault.atMs) }),
  };
}

function refusedStatus({ fault, detail, sinceMs }: Standing): FileStatus {
  return { path: detail.toWellFormed(), identity: "", offset: 0, size: 0, lag_bytes: 0, state: "refused", last_fault: faultOf(fault, sinceMs) };
}

function faultOf({ code, message, hint = "" }: Standing["fault"], atMs: number): NonNullable<FileStatus["last_fault"]> {
  return { code, message, hint, time: new Date(atMs).toISOString() };
}
