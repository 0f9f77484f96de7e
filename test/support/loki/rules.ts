/**
 * What a Loki refuses of a push, and its words: the recorded ones, and those of its sources (validation.go, stream.go, errors.go) where
 * several come together. Limits are a Loki's defaults; a test sets them as it wants.
 */
import type { Labels } from "./logql.ts";
import type { PushedStream, Stored } from "./store.ts";

/** A map's entries by name. */
export function pairsOf(map: object): [string, unknown][] {
  return Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1));
}

export interface Rules {
  lineBytes: number;
  labelNames: number;
  nameLength: number;
  valueLength: number;
  /** Whether structured metadata is taken, and how much of it an entry may have. */
  metadata: boolean;
  metadataBytes: number;
  metadataCount: number;
  oldNs: bigint;
  aheadNs: bigint;
  behindNs: bigint;
  /** Labels a stream must have. */
  wanted: readonly string[];
}

const secondNs = 1_000_000_000n;

export const defaultRules: Rules = {
  lineBytes: 262_144,
  labelNames: 15,
  nameLength: 1024,
  valueLength: 2048,
  metadata: true,
  metadataBytes: 65_536,
  metadataCount: 128,
  oldNs: 7n * 86_400n * secondNs,
  aheadNs: 600n * secondNs,
  behindNs: 3600n * secondNs,
  wanted: [],
};

export interface Late {
  readonly ns: bigint;
  readonly oldest: bigint;
}

/** Of what is wrong with one stream nothing of the push is stored, when its labels cannot be read. */
export function wholeRefused(streams: readonly PushedStream[]): { status: number; text: string } | undefined {
  if (streams.length === 0) return { status: 422, text: "error at least one valid stream is required for ingestion\n" };
  for (const { stream } of streams) {
    let at = 1;
    for (const name of Object.keys(stream).toSorted()) {
      const wrong = name.search(/[^A-Za-z0-9_]/);
      const words = `parse error: unexpected character inside braces: '${name[wrong]}'`;
      if (wrong >= 0) return { status: 400, text: `couldn't parse labels: 1:${at + wrong + 1}: ${words}\n` };
      at += name.length;
    }
  }
  return undefined;
}

export function labelsRefused(labels: Labels, rules: Rules): string {
  const pairs = Object.entries(labels);
  if (pairs.length === 0) return "error at least one label pair is required per stream";
  const name = nameOf(labels);
  const missing = rules.wanted.filter((one) => !Object.hasOwn(labels, one));
  if (missing.length > 0) return `missing required labels '${missing.join(",")}' for user 't1' for stream '${name}' (policy: '')`;
  if (pairs.length > rules.labelNames) return `entry for stream '${name}' has ${pairs.length} label names; limit ${rules.labelNames}`;
  for (const [label, value] of pairs) {
    if (label.length > rules.nameLength) return `stream '${name}' has label name too long: '${label}'`;
    if (Buffer.byteLength(value) > rules.valueLength) return `stream '${name}' has label value too long: '${value}'`;
  }
  return "";
}

export function entryRefused(labels: Labels, { ns, line, metadata }: Stored, rules: Rules, nowNs: bigint): string {
  const name = nameOf(labels);
  const oldest = nowNs - rules.oldNs;
  if (ns < oldest) return `entry for stream '${name}' has timestamp too old: ${seconds(ns)}, oldest acceptable timestamp is: ${seconds(oldest)}`;
  if (ns > nowNs + rules.aheadNs) return `entry for stream '${name}' has timestamp too new: ${seconds(ns)}`;
  const length = Buffer.byteLength(line);
  if (length > rules.lineBytes)
    return `max entry size '${rules.lineBytes}' bytes exceeded for stream '${name}' while adding an entry with length '${length}' bytes`;
  const pairs = Object.entries(metadata);
  if (pairs.length === 0) return "";
  if (!rules.metadata)
    return `stream '${name}' includes structured metadata, but this feature is disallowed. Please see \`limits_config.allow_structured_metadata\` or contact your Loki administrator to enable it`;
  const bytes = pairs.reduce((sum, [label, value]) => sum + Buffer.byteLength(label) + Buffer.byteLength(value), 0);
  if (bytes > rules.metadataBytes)
    return `stream '${name}' has structured metadata too large: '${bytes}' bytes, limit: '${rules.metadataBytes}' bytes. Please see \`limits_config.max_structured_metadata_size\` or contact your Loki administrator to increase it`;
  if (pairs.length > rules.metadataCount)
    return `stream '${name}' has too many structured metadata labels: '${pairs.length}', limit: '${rules.metadataCount}'. Please see \`limits_config.max_structured_metadata_entries_count\` or contact your Loki administrator to increase it`;
  return "";
}

/** Equal words are counted, as soon as there is more than one. */
export function groupedText(refusals: readonly string[]): string {
  const groups = [...Map.groupBy(refusals, (words) => words)];
  return groups.map(([words, all]) => (refusals.length > 1 ? `${all.length} errors like: ${words}` : words)).join("; ");
}

/** At most ten of a stream are listed. */
export function behindText(labels: Labels, late: readonly Late[], total: number): string {
  if (late.length === 0) return "";
  const lines = late
    .slice(0, 10)
    .map(
      ({ ns, oldest }) =>
        `entry with timestamp ${goTime(ns)} ignored, reason: 'entry too far behind, entry timestamp is: ${seconds(ns)}, oldest acceptable timestamp is: ${seconds(oldest)}',\n`,
    );
  return `${lines.join("")}user 't1', total ignored: ${late.length} out of ${total} for stream: ${nameOf(labels)}`;
}

function nameOf(labels: Labels): string {
  return `{${pairsOf(labels)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(", ")}}`;
}

function seconds(ns: bigint): string {
  return `${new Date(Number(ns / 1_000_000n)).toISOString().slice(0, 19)}Z`;
}

/** As Go prints a time: `2026-11-23 01:33:44.391381891 +0000 UTC`, without zeros at the end of the fraction. */
function goTime(ns: bigint): string {
  const fraction = String(ns % secondNs)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${seconds(ns).slice(0, 19).replace("T", " ")}${fraction === "" ? "" : `.${fraction}`} +0000 UTC`;
}
