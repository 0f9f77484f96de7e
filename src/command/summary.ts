/** `/status` and `/health` as a page of text: the state and its reasons first, then a row for each source and sink, then the spool. */
import { visible } from "../core/shown.ts";
import type { Health, Status } from "../core/view.ts";
import { filesText } from "./files.ts";
import { humanAgo, humanBytes, humanCount, humanDuration, plural } from "./human.ts";
import type { Paint } from "./paint.ts";
import { table } from "./table.ts";

/** `nowMs` is wall time: ages are shown against it. `files`: so many files of each source, whatever their state. */
export function statusText(status: Status, health: Health, nowMs: number, paint: Paint, files?: number): string {
  const { state } = health;
  const painted = state === "ok" ? paint.good(state) : state === "degraded" ? paint.warn(state) : paint.bad(state);
  const head = `${paint.bold(status.host)} is ${painted}: logferry ${status.version}, up ${humanDuration(status.uptime_s * 1000)}, spool ${status.spool_id}\n`;
  return [
    head,
    reasonsText(health, nowMs, paint),
    sourcesText(status, nowMs),
    filesText(status, files, nowMs, paint),
    sinksText(status, nowMs),
    spoolText(status, nowMs),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function reasonsText({ reasons }: Health, nowMs: number, paint: Paint): string {
  return reasons
    .map(({ component, code, message, hint, since }) => {
      const age = humanDuration(nowMs - Date.parse(since));
      const row = `${paint.bad("✗")} ${component}: ${visible(message, 300)} ${paint.dim(`(${code}, for ${age})`)}\n`;
      return hint === "" ? row : `${row}  ${paint.dim("→")} ${visible(hint, 300)}\n`;
    })
    .join("");
}

function sourcesText({ sources }: Status, nowMs: number): string {
  const rows = Object.entries(sources).map(([name, source]) => [
    name,
    source.type,
    source.state,
    humanCount(source.records),
    humanBytes(source.bytes),
    humanBytes(source.lag_bytes),
    humanAgo(source.last_record_time, nowMs),
    humanCount(source.faults),
  ]);
  return table(["SOURCE", "TYPE", "STATE", "RECORDS", "READ", "LAG", "LAST RECORD", "FAULTS"], rows, [
    "left",
    "left",
    "left",
    "right",
    "right",
    "right",
    "right",
    "right",
  ]);
}

function sinksText({ sinks }: Status, nowMs: number): string {
  const rows = Object.entries(sinks).map(([name, sink]) => [
    name,
    sink.type,
    sink.state,
    humanCount(sink.records),
    humanBytes(sink.bytes),
    humanCount(sink.lag_records),
    humanBytes(sink.lag_bytes),
    humanCount(sink.retries),
    humanAgo(sink.last_success_time, nowMs),
  ]);
  return table(["SINK", "TYPE", "STATE", "RECORDS", "SENT", "LAG RECORDS", "LAG", "RETRIES", "LAST SUCCESS"], rows, [
    "left",
    "left",
    "left",
    "right",
    "right",
    "right",
    "right",
    "right",
    "right",
  ]);
}

function spoolText({ spool }: Status, nowMs: number): string {
  const share = spool.max_bytes === 0 ? 0 : Math.round((100 * spool.bytes) / spool.max_bytes);
  const held = spool.last_sequence < spool.first_sequence ? "no records" : `records ${spool.first_sequence} to ${spool.last_sequence}`;
  const oldest = spool.oldest_record_time === undefined ? "" : `, the oldest from ${humanAgo(spool.oldest_record_time, nowMs)}`;
  const paused = spool.paused === "" ? "" : `; takes nothing now: ${spool.paused.replace("_", " ")}`;
  return `spool: ${humanBytes(spool.bytes)} of ${humanBytes(spool.max_bytes)} (${share} %) in ${plural(spool.segments, "segment")}, ${held}${oldest}${paused}\n`;
}
