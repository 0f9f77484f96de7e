/**
 * `logferry spool ls|cat|verify`: what lies in a spool, also while it is in use or damaged. It locks nothing and writes nothing.
 *
 * Exit codes: 0 fine, 1 damage found (`verify`) or no spool there, 2 usage or configuration.
 */
import { verifyJournals } from "../sink/verify.ts";
import { listSegments, readPositions, readRecords, readSinks, verifySpool, type SegmentRow } from "../spool/inspect.ts";
import { loadOrTell } from "./config.ts";
import { humanBytes, humanCount, plural } from "./human.ts";
import type { Io } from "./io.ts";
import { table } from "./table.ts";

/** `dir` wins over `config`, whose `spool.dir` is taken. */
export interface SpoolOptions {
  dir?: string;
  config: string;
  json?: boolean;
}

/** Bounds are sequences, both included. */
export interface CatOptions extends SpoolOptions {
  from?: number;
  to?: number;
  source?: string;
}

/** Records are small: this many bytes of them are written at once. */
const writeBytes = 256 * 1024;

/** Segments oldest first, and the positions of the sources. */
export async function list(options: SpoolOptions, io: Io): Promise<number> {
  const dir = await dirOf(options, io);
  if (dir === undefined) return 2;
  const rows: SegmentRow[] = [];
  for await (const row of listSegments(io.doors.disk, dir)) rows.push(row);
  const positions = await readPositions(io.doors.disk, dir);
  if (options.json === true) {
    await io.stdout(`${JSON.stringify({ dir, segments: rows, positions }, null, 2)}\n`);
    return 0;
  }
  const lines = rows.map((row) => [
    row.file,
    humanBytes(row.bytes),
    humanBytes(row.raw_bytes),
    humanCount(row.records),
    `${row.first_sequence}..${row.last_sequence}`,
    humanCount(row.frames),
    humanCount(row.groups),
    row.min_time ?? "-",
    row.max_time ?? "-",
    row.damage === 0 ? "-" : String(row.damage),
  ]);
  const head = ["SEGMENT", "SIZE", "RAW", "RECORDS", "SEQUENCES", "FRAMES", "GROUPS", "FROM", "TO", "DAMAGE"];
  await io.stdout(table(head, lines, ["left", "right", "right", "right", "right", "right", "right", "left", "left", "right"]));
  const places = Object.entries(positions).flatMap(([source, keys]) =>
    Object.entries(keys).map(([key, value]) => [source, key, JSON.stringify(value)]),
  );
  if (places.length > 0) await io.stdout(`\n${table(["SOURCE", "POSITION OF", "AT"], places)}`);
  const sum = (of: (row: SegmentRow) => number): number => rows.reduce((total, row) => total + of(row), 0);
  await io.stdout(
    `\n${dir}: ${plural(rows.length, "segment")}, ${humanBytes(sum((row) => row.bytes))}, ${plural(
      sum((row) => row.records),
      "record",
    )}\n`,
  );
  return 0;
}

/** Records as NDJSON. */
export async function cat(options: CatOptions, io: Io): Promise<number> {
  const dir = await dirOf(options, io);
  if (dir === undefined) return 2;
  const { from, to, source } = options;
  const query = { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }), ...(source === undefined ? {} : { source }) };
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const record of readRecords(io.doors.disk, dir, query)) {
    parts.push(record);
    bytes += record.byteLength;
    if (bytes < writeBytes) continue;
    await io.stdout(Buffer.concat(parts));
    [parts, bytes] = [[], 0];
  }
  if (bytes > 0) await io.stdout(Buffer.concat(parts));
  return 0;
}

/** Every checksum; a line for each damage, then how many there are. */
export async function verify(options: SpoolOptions, io: Io): Promise<number> {
  const dir = await dirOf(options, io);
  if (dir === undefined) return 2;
  const found: unknown[] = [];
  const { disk } = io.doors;
  for (const damages of [verifySpool(disk, dir), verifyJournals(disk, `${dir}/sinks`, await readSinks(disk, dir))]) {
    for await (const damage of damages) {
      found.push(damage);
      if (options.json !== true) await io.stdout(`${damage.file}: byte ${damage.offset}: ${damage.code}: ${damage.message}\n`);
    }
  }
  if (options.json === true) await io.stdout(`${JSON.stringify(found, null, 2)}\n`);
  else await io.stdout(found.length === 0 ? `${dir}: every checksum is right\n` : `${dir}: ${plural(found.length, "damaged place")}\n`);
  return found.length === 0 ? 0 : 1;
}

async function dirOf(options: SpoolOptions, io: Io): Promise<string | undefined> {
  if (options.dir !== undefined) return options.dir;
  return (await loadOrTell(options.config, io))?.spool.dir;
}
