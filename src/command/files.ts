/** The files of the sources and what is left to read, as a part of `logferry status`. Paths are foreign words: what acts in them is spelled out. */
import type { FileStatus } from "../core/files.ts";
import { visible } from "../core/shown.ts";
import type { FullSourceStatus, Status } from "../core/view.ts";
import { humanAgo, humanBytes, humanCount, humanDuration, plural } from "./human.ts";
import type { Paint } from "./paint.ts";
import { table } from "./table.ts";

/** Shown of a source when nobody asks for more: those that are behind or not read, and never a screen full. */
const filesMax = 10;
/** A path that is longer loses its middle. */
const pathCharactersMax = 100;

/** A line and a table for each source with files that are behind or not read; with `asked`, as many as it says whatever their state. */
export function filesText({ sources }: Status, asked: number | undefined, nowMs: number, paint: Paint): string {
  return Object.entries(sources)
    .map(([name, source]) => sourceText(name, source, asked, nowMs, paint))
    .filter((text) => text !== "")
    .join("\n");
}

function sourceText(name: string, source: FullSourceStatus, asked: number | undefined, nowMs: number, paint: Paint): string {
  const { files = [], backlog } = source;
  const wanted = asked === undefined ? files.filter(({ state }) => state !== "idle" && state !== "closed") : files;
  const shown = wanted.slice(0, asked ?? filesMax);
  if (backlog === undefined && shown.length === 0) return "";
  const lines = [`${paint.bold(name)}: ${countsText(source)}${leftText(source)}\n`];
  if (shown.length > 0) lines.push(tableText(shown, nowMs));
  const more = countOf(source, asked === undefined) - shown.length;
  if (more > 0) lines.push(paint.dim(`and ${humanCount(more)} more: logferry status --files all\n`));
  return lines.join("");
}

/** All files, or those that are not simply read to their end. */
function countOf({ files_total = 0, file_states = {} }: FullSourceStatus, troubled: boolean): number {
  const { refused = 0, idle = 0, closed = 0 } = file_states;
  return files_total + refused - (troubled ? idle + closed : 0);
}

/** `1,204 files: 1,200 idle, 3 reading, 1 refused` */
function countsText({ files_total = 0, file_states = {} }: FullSourceStatus): string {
  const states = Object.entries(file_states)
    .toSorted(([, a], [, b]) => b - a)
    .map(([state, count]) => `${humanCount(count)} ${state}`);
  return `${plural(files_total, "file")}${states.length === 0 ? "" : `: ${states.join(", ")}`}`;
}

function leftText({ backlog, deleted_bytes = 0 }: FullSourceStatus): string {
  const held = deleted_bytes === 0 ? "" : `; ${humanBytes(deleted_bytes)} of deleted files held open`;
  if (backlog === undefined) return held;
  const { bytes_left, bytes_per_second, seconds_left } = backlog;
  const end = seconds_left === undefined ? "" : `, about ${humanDuration(seconds_left * 1000)}`;
  return `; ${humanBytes(bytes_left)} left, ${humanBytes(bytes_per_second)}/s${end}${held}`;
}

function tableText(files: readonly FileStatus[], nowMs: number): string {
  const rows = files.map(({ path, state, gone, lag_bytes, offset, size, last_read_time }) => [
    visible(path, pathCharactersMax),
    gone === undefined ? state : `${state} (${gone})`,
    humanBytes(lag_bytes),
    humanCount(offset),
    humanCount(size),
    humanAgo(last_read_time, nowMs),
  ]);
  return table(["FILE", "STATE", "LAG", "OFFSET", "SIZE", "LAST READ"], rows, ["left", "left", "right", "right", "right", "right"]);
}
