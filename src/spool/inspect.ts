/**
 * Looks inside a spool's folder from outside, also while it is in use or damaged: nothing is locked and nothing written.
 *
 * Of the newest segment only whole groups count, as after a crash: what is being written at the moment is no damage.
 */
import type { Json, Stream } from "../core/contract.ts";
import type { Disk, DiskFile } from "../core/disk.ts";
import { Fault } from "../core/fault.ts";
import { systemCompress } from "../core/compress.ts";
import { FutureVersion, type Head } from "./format.ts";
import { GroupCollector, type FoundGroup } from "./groups.ts";
import { layoutOf, segmentName, segmentNumber } from "./layout.ts";
import { futureFormat, Positions, readCheckpoints } from "./positions.ts";
import { readFully, scan, type Item } from "./scan.ts";

/** A row of `spool ls`. Times are RFC 3339. */
export interface SegmentRow {
  file: string;
  number: number;
  /** Size of the file. */
  bytes: number;
  first_sequence: number;
  last_sequence: number;
  records: number;
  raw_bytes: number;
  frames: number;
  groups: number;
  streams: string[];
  min_time: string | undefined;
  max_time: string | undefined;
  /** Damaged places seen in blocks; payloads are checked by `verifySpool`. */
  damage: number;
}

/** One damage: where it lies and what it is. `offset` is a byte of `file`. */
export interface Damage {
  file: string;
  offset: number;
  code: string;
  message: string;
}

interface Walked {
  number: number;
  name: string;
  fileBytes: number;
  head: Head | undefined;
  groups: FoundGroup[];
  damaged: { at: number; length: number }[];
  /** Whether the successor's head asks for more bytes than there are. */
  missingBytes: number;
}

/** Segments from the oldest on. Throws Fault `spool_missing` (never) when there is no spool in `dir`. */
export async function* listSegments(disk: Disk, dir: string): AsyncGenerator<SegmentRow> {
  for await (const walked of walk(disk, dir)) {
    const frames = walked.groups.flatMap((group) => group.frames.map(({ header }) => header));
    const first = walked.head?.firstSequence ?? frames[0]?.firstSequence ?? 0;
    const last = frames.at(-1);
    yield {
      file: walked.name,
      number: walked.number,
      bytes: walked.fileBytes,
      first_sequence: first,
      last_sequence: last === undefined ? first - 1 : last.firstSequence + last.records - 1,
      records: frames.reduce((sum, frame) => sum + frame.records, 0),
      raw_bytes: frames.reduce((sum, frame) => sum + frame.rawBytes, 0),
      frames: frames.length,
      groups: walked.groups.length,
      streams: [...new Set(frames.map((frame) => (frame.mixed ? "mixed" : streamText(frame.stream))))],
      min_time: frames.length === 0 ? undefined : new Date(Math.min(...frames.map((frame) => frame.minMs))).toISOString(),
      max_time: frames.length === 0 ? undefined : new Date(Math.max(...frames.map((frame) => frame.maxMs))).toISOString(),
      damage: walked.damaged.length + (walked.missingBytes > 0 ? 1 : 0),
    };
  }
}

/**
 * Records as NDJSON, in sequence order, both bounds included; `source` compares with the record's own `source`.
 * Frames that cannot be read are left out.
 */
export async function* readRecords(disk: Disk, dir: string, query: { from?: number; to?: number; source?: string }): AsyncGenerator<Uint8Array> {
  const { from = 0, to = Infinity, source } = query;
  const wanted = source === undefined ? undefined : Buffer.from(`"source":${JSON.stringify(source)}`);
  for await (const walked of walk(disk, dir)) {
    await using file = await disk.open(`${layoutOf(dir).segments}/${walked.name}`, "read");
    for (const { header, payloadAt } of walked.groups.flatMap((group) => group.frames)) {
      if (header.firstSequence > to || header.firstSequence + header.records <= from) continue;
      const raw = await readFrame(file, payloadAt, header);
      if (raw === undefined) continue;
      yield* recordsOf(raw, header.firstSequence, from, to, wanted);
    }
  }
}

function* recordsOf(raw: Buffer, firstSequence: number, from: number, to: number, wanted: Buffer | undefined): Generator<Uint8Array> {
  let sequence = firstSequence;
  for (let at = 0; at < raw.byteLength; sequence++) {
    const end = raw.indexOf(10, at) + 1 || raw.byteLength;
    const record = raw.subarray(at, end);
    at = end;
    if (sequence < from || sequence > to) continue;
    if (wanted !== undefined && (!record.includes(wanted) || !sourceIs(record, wanted))) continue;
    yield record;
  }
}

/** The bytes may also stand in a message: only the parsed record tells. */
function sourceIs(record: Buffer, wanted: Buffer): boolean {
  try {
    const { source } = JSON.parse(record.toString("utf8")) as { source?: unknown };
    return `"source":${JSON.stringify(source)}` === wanted.toString("utf8");
  } catch {
    return false;
  }
}

/** Every CRC of every segment and checkpoint; nothing when all is well. */
export async function* verifySpool(disk: Disk, dir: string): AsyncGenerator<Damage> {
  const layout = layoutOf(dir);
  let previous: number | undefined;
  for await (const walked of walk(disk, dir)) {
    const file = walked.name;
    for (const { at, length } of walked.damaged)
      yield { file, offset: at, code: "spool_block_corrupt", message: `${length} bytes are no whole block` };
    if (walked.missingBytes > 0) {
      yield { file, offset: walked.fileBytes, code: "spool_segment_short", message: `${walked.missingBytes} bytes are missing at its end` };
    }
    await using opened = await disk.open(`${layout.segments}/${file}`, "read");
    let expected = walked.head?.firstSequence ?? previous;
    for (const { header, payloadAt } of walked.groups.flatMap((group) => group.frames)) {
      const { firstSequence, records } = header;
      if (expected !== undefined && firstSequence !== expected) {
        yield { file, offset: payloadAt, code: "spool_sequence_gap", message: `record ${firstSequence} stands where ${expected} is due` };
      }
      expected = firstSequence + records;
      if ((await readFrame(opened, payloadAt, header)) !== undefined) continue;
      yield {
        file,
        offset: payloadAt,
        code: "spool_frame_corrupt",
        message: `the payload of records ${firstSequence} to ${expected - 1} does not match its checksum`,
      };
    }
    previous = expected;
  }
  const { damaged } = await readCheckpoints(disk, layout.positions);
  if (damaged > 0) yield { file: "positions", offset: 0, code: "spool_checkpoint_damaged", message: `${damaged} of the two checkpoints not whole` };
}

/** The positions a start would begin with: source → key → value. */
export async function readPositions(disk: Disk, dir: string): Promise<Record<string, Record<string, Json>>> {
  const { newest } = await readCheckpoints(disk, layoutOf(dir).positions);
  const positions = newest?.positions ?? new Positions();
  let applied = newest?.group ?? 0;
  for await (const walked of walk(disk, dir)) {
    for (const { commit } of walked.groups) {
      if (commit === undefined || commit.group <= applied) continue;
      if (commit.group > applied + 1) positions.apply(commit.previousDelta);
      positions.apply(commit.delta);
      applied = commit.group;
    }
  }
  return positions.toJson();
}

async function* walk(disk: Disk, dir: string): AsyncGenerator<Walked> {
  const { segments } = layoutOf(dir);
  if ((await disk.stat(segments)) === undefined) {
    throw new Fault({
      code: "spool_missing",
      retry: "never",
      message: `open spool ${dir}: there is none`,
      hint: "name the folder with --dir, or the configuration with --config",
    });
  }
  const numbers = (await disk.list(segments)).flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b);
  // One behind: how much of a segment counts stands in the head of the next.
  let held: (Walked & { items: Item[] }) | undefined;
  for (const number of numbers) {
    const next = await walkSegment(disk, segments, number);
    if (next === undefined) continue; // delivered and removed while we looked
    if (held !== undefined && next.head?.previousSegment !== undefined && next.head.previousSegment >= held.number) yield settle(held, next.head);
    else if (held !== undefined && next.head === undefined) yield settle(held, undefined);
    held = next;
  }
  if (held !== undefined) yield settle(held, undefined);
}

async function walkSegment(disk: Disk, dir: string, number: number): Promise<(Walked & { items: Item[] }) | undefined> {
  const name = segmentName(number);
  if ((await disk.stat(`${dir}/${name}`)) === undefined) return undefined;
  await using file = await disk.open(`${dir}/${name}`, "read");
  const { bytes } = await file.stat();
  const items: Item[] = [];
  try {
    for await (const item of scan(file, 0, bytes)) items.push(item);
  } catch (cause) {
    if (cause instanceof FutureVersion) throw futureFormat(`${dir}/${name}`, "of a later version");
    throw cause;
  }
  const head = items.flatMap(({ block }) => (block?.kind === "head" ? [block] : []))[0];
  return { number, name, fileBytes: bytes, head, groups: [], damaged: [], missingBytes: 0, items };
}

function settle(walked: Walked & { items: Item[] }, successor: Head | undefined): Walked {
  const named = successor?.previousSegment === walked.number ? successor.previousBytes : undefined;
  const collector = new GroupCollector();
  for (const item of walked.items) if (named === undefined || item.at < named) collector.add(item);
  const groups = collector.finish();
  const end = named ?? groups.at(-1)?.end ?? 0;
  const damaged = walked.items.filter((item) => item.block === undefined && item.at < end).map(({ at, length }) => ({ at, length }));
  return { ...walked, groups, damaged, missingBytes: Math.max(0, (named ?? 0) - walked.fileBytes) };
}

async function readFrame(file: DiskFile, at: number, header: { payloadBytes: number; payloadCrc: number }): Promise<Buffer | undefined> {
  const payload = new Uint8Array(header.payloadBytes);
  const count = await readFully(file, payload, at);
  if (count !== payload.byteLength || Bun.hash.crc32(payload) !== header.payloadCrc) return undefined;
  try {
    return Buffer.from(await systemCompress.unzstd(payload));
  } catch {
    return undefined;
  }
}

function streamText(stream: Stream): string {
  return JSON.stringify(stream) === "{}" ? "all" : JSON.stringify(stream);
}
