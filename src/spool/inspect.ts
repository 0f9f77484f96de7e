/**
 * Looks inside a spool's folder from outside, also while it is in use or damaged: nothing is locked and nothing written.
 *
 * Of the newest segment only whole groups count, as after a crash: what is being written at the moment is no damage.
 */
import type { FrameRef, Json, Stream } from "../core/contract.ts";
import type { Disk, DiskFile } from "../core/disk.ts";
import { errnoOf, Fault } from "../core/fault.ts";
import { systemCompress } from "../core/compress.ts";
import { FutureVersion, headBytesMax, type Head } from "./format.ts";
import { GroupCollector, type FoundGroup } from "./groups.ts";
import { layoutOf, segmentName, segmentNumber } from "./layout.ts";
import { readIdentity } from "./identity.ts";
import { futureFormat, Positions, readCheckpoints } from "./positions.ts";
import { beginsAsOurs, readFully, scan, type Item } from "./scan.ts";

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
  /** How many bytes the successor's head asks for beyond those there are. */
  missingBytes: number;
  /** Where bytes begin that no write of ours left; undefined when there are none. */
  foreignAt: number | undefined;
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
  let expected = 0;
  for await (const walked of walk(disk, dir)) {
    await using file = await disk.open(`${layoutOf(dir).segments}/${walked.name}`, "read");
    for (const { header, payloadAt } of walked.groups.flatMap((group) => group.frames)) {
      // Each record once, also when a segment lies there twice.
      if (header.firstSequence < expected) continue;
      expected = header.firstSequence + header.records;
      if (header.firstSequence > to || expected <= from) continue;
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

/** Every CRC of every segment, checkpoint and of the identity; nothing when all is well. Throws Fault as `listSegments`, and for a format from the future. */
export async function* verifySpool(disk: Disk, dir: string): AsyncGenerator<Damage> {
  const layout = layoutOf(dir);
  const { newest, damaged } = await readCheckpoints(disk, layout.positions);
  let expected: number | undefined;
  let last = "";
  const isThere = async (name: string): Promise<boolean> => (await disk.stat(`${layout.segments}/${name}`)) !== undefined;
  for await (const walked of walk(disk, dir)) {
    yield* verifyBlocks(walked);
    expected = yield* verifyFrames(disk, layout.segments, walked, (await isThere(last)) ? expected : undefined);
    last = walked.name;
  }
  // In a spool in use segments go while we look: then nothing can be said of what stood behind them.
  if (newest !== undefined && expected !== undefined && newest.nextSequence > expected && (await isThere(last))) {
    const message = `records ${expected} to ${newest.nextSequence - 1} are missing behind it: the checkpoint knows of them`;
    yield { file: last, offset: 0, code: "spool_segment_missing", message };
  }
  for (const { name, why, code } of (await segmentFiles(disk, dir)).foreign) yield { file: name, offset: 0, code, message: why };
  for (const path of damaged) yield { file: fileName(path), offset: 0, code: "spool_checkpoint_damaged", message: "the checkpoint is not whole" };
  if ((await readIdentity(disk, layout.identity)) === "damaged")
    yield { file: fileName(layout.identity), offset: 0, code: "spool_identity_damaged", message: "it is not whole" };
}

function* verifyBlocks(walked: Walked): Generator<Damage> {
  const { name: file, damaged, missingBytes, fileBytes, foreignAt } = walked;
  for (const { at, length } of damaged) yield { file, offset: at, code: "spool_block_corrupt", message: `${length} bytes are no whole block` };
  if (missingBytes > 0) yield { file, offset: fileBytes, code: "spool_segment_short", message: `${missingBytes} bytes are missing at its end` };
  if (foreignAt !== undefined) {
    yield { file, offset: foreignAt, code: "spool_segment_long", message: `${fileBytes - foreignAt} bytes at its end are none of ours` };
  }
}

/** Returns the sequence that is due in the next segment. */
async function* verifyFrames(disk: Disk, dir: string, walked: Walked, due: number | undefined): AsyncGenerator<Damage, number | undefined> {
  const { name: file } = walked;
  await using opened = await disk.open(`${dir}/${file}`, "read");
  let expected = due ?? walked.head?.firstSequence;
  for (const { header, payloadAt } of walked.groups.flatMap((group) => group.frames)) {
    const { firstSequence, records } = header;
    if (expected !== undefined && firstSequence !== expected) {
      yield { file, offset: payloadAt, code: "spool_sequence_gap", message: `record ${firstSequence} stands where ${expected} is due` };
    }
    expected = firstSequence + records;
    if ((await readFrame(opened, payloadAt, header)) !== undefined) continue;
    const message = `the payload of records ${firstSequence} to ${expected - 1} does not match its checksum`;
    yield { file, offset: payloadAt, code: "spool_frame_corrupt", message };
  }
  return expected;
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Sinks that have a journal in this spool, as spool.json says. */
export async function readSinks(disk: Disk, dir: string): Promise<readonly string[]> {
  const stored = await readIdentity(disk, layoutOf(dir).identity);
  return typeof stored === "object" ? (stored.sinks ?? []) : [];
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
  const { numbers } = await segmentFiles(disk, dir);
  // One behind: how much of a segment counts stands in the head of the next.
  let held: WalkedItems | undefined;
  for (const number of numbers) {
    const next = await walkSegment(disk, layoutOf(dir).segments, number);
    if (next === undefined) continue; // delivered and removed while we looked, or a copy of another
    // A head that names one before it says that this one was abandoned before anything in it counted.
    // Unless it holds records before those: some start could not read it, and went on without.
    const { previousSegment = Infinity, firstSequence = Infinity } = next.head ?? {};
    if (held !== undefined && (previousSegment >= held.number || (held.head?.firstSequence ?? Infinity) < firstSequence))
      yield await settle(disk, dir, held, next.head);
    held = next;
  }
  if (held !== undefined) yield await settle(disk, dir, held, undefined);
}

type WalkedItems = Walked & { items: Item[] };

/** Numbers of the segments, in order, and what else lies among them. Throws Fault `spool_missing` (never). */
async function segmentFiles(disk: Disk, dir: string): Promise<{ numbers: number[]; foreign: { name: string; why: string; code: string }[] }> {
  const { segments } = layoutOf(dir);
  if ((await disk.stat(segments))?.kind !== "directory") {
    throw new Fault({
      code: "spool_missing",
      retry: "never",
      message: `open spool ${dir}: there is none`,
      hint: "name the folder with --dir, or the configuration with --config",
    });
  }
  const numbers: number[] = [];
  const foreign: { name: string; why: string; code: string }[] = [];
  for (const name of (await disk.list(segments)).toSorted()) {
    const number = segmentNumber(name);
    const kind = (await disk.stat(`${segments}/${name}`))?.kind;
    if (number === undefined || kind !== "file") {
      if (kind !== undefined) foreign.push({ name, why: "it is no segment", code: "spool_foreign_file" });
      continue;
    }
    const head = await headOf(disk, `${segments}/${name}`);
    if (head === "unreadable") foreign.push({ name, why: "the disk cannot read it", code: "spool_segment_unreadable" });
    else if (head === undefined || head.segment === number) numbers.push(number);
    else foreign.push({ name, why: `it is a copy of segment ${head.segment}`, code: "spool_foreign_file" });
  }
  return { numbers, foreign };
}

/** The head of a segment file; undefined when it is rotten, or the file is gone. */
async function headOf(disk: Disk, path: string): Promise<Head | "unreadable" | undefined> {
  try {
    if ((await disk.stat(path)) === undefined) return undefined;
    await using file = await disk.open(path, "read");
    const { bytes } = await file.stat();
    for await (const { block } of scan(file, 0, Math.min(bytes, headBytesMax))) return block?.kind === "head" ? block : undefined;
    return undefined;
  } catch (cause) {
    if (cause instanceof FutureVersion) throw futureFormat(path, cause.writer);
    if (errnoOf(cause) === "EIO") return "unreadable";
    throw cause;
  }
}

async function walkSegment(disk: Disk, dir: string, number: number): Promise<WalkedItems | undefined> {
  const name = segmentName(number);
  if ((await disk.stat(`${dir}/${name}`)) === undefined) return undefined;
  await using file = await disk.open(`${dir}/${name}`, "read");
  const { bytes } = await file.stat();
  const items: Item[] = [];
  try {
    for await (const item of scan(file, 0, bytes)) items.push(item);
  } catch (cause) {
    if (cause instanceof FutureVersion) throw futureFormat(`${dir}/${name}`, cause.writer);
    if (errnoOf(cause) !== "EIO") throw cause;
    const last = items.at(-1);
    const at = last === undefined ? 0 : last.at + last.length;
    items.push({ at, length: bytes - at, block: undefined });
  }
  const head = items.flatMap(({ block }) => (block?.kind === "head" ? [block] : []))[0];
  return { number, name, fileBytes: bytes, head, groups: [], damaged: [], missingBytes: 0, foreignAt: undefined, items };
}

async function settle(disk: Disk, dir: string, walked: WalkedItems, successor: Head | undefined): Promise<Walked> {
  const named = successor?.previousSegment === walked.number ? successor.previousBytes : undefined;
  const collector = new GroupCollector();
  for (const item of walked.items) if (named === undefined || item.at < named) collector.add(item);
  const groups = collector.finish(named);
  const end = named ?? groups.at(-1)?.end ?? 0;
  const damaged = walked.items.filter((item) => item.block === undefined && item.at < end).map(({ at, length }) => ({ at, length }));
  const seal = walked.items.find(({ at, block }) => at === end && block?.kind === "seal");
  const tailAt = end + (seal?.length ?? 0);
  let foreignAt: number | undefined;
  if (walked.fileBytes > tailAt) {
    await using file = await disk.open(`${layoutOf(dir).segments}/${walked.name}`, "read");
    const ours = await beginsAsOurs(file, tailAt, walked.fileBytes).catch((cause: unknown) => {
      if (errnoOf(cause) !== "EIO") throw cause;
      return false; // not to be read: named as what cannot be told to be ours
    });
    if (!ours) foreignAt = tailAt;
  }
  return { ...walked, groups, damaged, missingBytes: Math.max(0, (named ?? 0) - walked.fileBytes), foreignAt };
}

async function readFrame(file: DiskFile, at: number, header: { payloadBytes: number; payloadCrc: number }): Promise<Buffer | undefined> {
  const payload = new Uint8Array(header.payloadBytes);
  const count = await readFully(file, payload, at).catch((cause: unknown) => {
    if (errnoOf(cause) !== "EIO") throw cause;
    return 0;
  });
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

/** Every frame that counts, in sequence order. Throws Fault as `listSegments`. */
export async function* listFrames(disk: Disk, dir: string): AsyncGenerator<FrameRef> {
  let expected = 0;
  for await (const { number, groups } of walk(disk, dir)) {
    for (const { header, payloadAt } of groups.flatMap((group) => group.frames)) {
      if (header.firstSequence < expected) continue;
      expected = header.firstSequence + header.records;
      const { payloadCrc, kind: _, ...frame } = header;
      yield { ...frame, segment: number, offset: payloadAt, crc: payloadCrc };
    }
  }
}

/** The payload of a frame of `listFrames`. Throws Fault `spool_frame_corrupt` (never) when it is not whole, or gone by now. */
export async function readPayload(disk: Disk, dir: string, frame: FrameRef): Promise<Uint8Array> {
  const path = `${layoutOf(dir).segments}/${segmentName(frame.segment)}`;
  const payload = new Uint8Array(frame.payloadBytes);
  if ((await disk.stat(path)) !== undefined) {
    await using file = await disk.open(path, "read");
    if ((await readFully(file, payload, frame.offset)) === payload.byteLength && Bun.hash.crc32(payload) === frame.crc) return payload;
  }
  throw new Fault({
    code: "spool_frame_corrupt",
    retry: "never",
    message: `read segment ${path}: the frame at byte ${frame.offset} is not there whole`,
  });
}
