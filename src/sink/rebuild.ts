/**
 * A lost journal, made anew from what the far side has.
 *
 * Where objects lie, those that may hold records the spool still has are read and compared with them (match.ts): exactly what
 * is there counts as delivered, whatever its name says, and delivery goes on with exactly what is missing. A receiver that keeps no
 * objects is asked what it has taken. What nobody can tell is shipped again, and counted.
 *
 * Promises:
 * - Nothing is taken for delivered on the strength of a name: a record that is not there is shipped.
 * - Nothing is written before all of it is known; a far side that is away, refuses or holds something unreadable rejects, and
 *   the sink goes on holding.
 * - Where objects lie, the new journal's plans are made in an epoch of their own: no name of before is used again. A receiver
 *   refuses a number it had, and would not be believed for an epoch that the spool does not know.
 */
import type { Range, Sink, SinkContext, SpoolReader } from "../core/contract.ts";
import type { Held } from "../core/holdings.ts";
import { Fault } from "../core/fault.ts";
import { BodyDamaged, expand, LineHashes } from "./expand.ts";
import type { Delivered, Entry } from "./ledger.ts";
import { match, SpoolHashes } from "./match.ts";
import { parseName, type ParsedName } from "./name.ts";
import { countOf, subtract, union, within } from "./ranges.ts";

/** What is known of the records the spool holds. */
export interface Arrived {
  /** From objects, not from a receiver's word. */
  readonly listed: boolean;
  /** The oldest sequence the spool had when it was looked at. */
  readonly from: number;
  /** Those that have arrived. */
  readonly ranges: readonly Range[];
  /** Objects that were read, and those of them that hold nothing but records of this spool. */
  readonly objects: number;
  readonly delivered: readonly Delivered[];
  /** Lines found there that are not this spool's, though their names say so; and one of the objects. */
  readonly foreign: number;
  readonly foreignIn: string | undefined;
  /** Records of which nobody can tell whether they have arrived: they are shipped, perhaps again. */
  readonly unsure: number;
}

/** Asks the far side. Rejects with its faults, or `rebuild_object_unreadable` (denied). */
export async function findArrived(sink: Sink, reader: SpoolReader, { doors }: SinkContext, kill: AbortSignal): Promise<Arrived> {
  const held = { from: reader.firstSequence(), next: reader.nextSequence() };
  if (sink.holdings === undefined) return askReceiver(sink, reader, held, kill);
  const seed = Buffer.from(doors.random.bytes(8)).readBigUInt64LE();
  const spool = new SpoolHashes(reader, doors.compress, seed);
  const wanted = (name: string): boolean => {
    const parsed = parseName(name);
    return parsed !== undefined && parsed.spool === reader.id.slice(0, 16) && parsed.last >= held.from;
  };
  const objects: (Held & { readonly parsed: ParsedName })[] = [];
  for await (const object of sink.holdings.list(wanted, kill)) {
    const parsed = parseName(object.name);
    if (parsed !== undefined) objects.push({ ...object, parsed });
  }
  // In the order of the log, so that the spool's frames are read once as a rule.
  objects.sort((a, b) => a.parsed.first - b.parsed.first);
  let ranges: Range[] = [];
  let foreign = 0;
  let foreignIn: string | undefined;
  const delivered: Delivered[] = [];
  for (const object of objects) {
    if (kill.aborted) throw new Fault({ code: "delivery_cut", retry: "later", message: "rebuild the journal: cut short" });
    const { lines, ...read } = await linesOf(object, object.parsed, sink.holdings.read(object, kill), doors.compress, seed);
    const found = await match(lines, object.parsed.first, object.parsed.last, spool, held);
    ranges = union(ranges, found.ranges);
    foreign += found.foreign;
    if (found.foreign > 0) foreignIn ??= `${object.lane}/${object.name}`;
    else delivered.push({ lane: object.lane, name: object.name, records: lines.length, ...read });
  }
  return { listed: true, from: held.from, ranges, objects: objects.length, delivered, foreign, foreignIn, unsure: 0 };
}

async function linesOf(
  { lane, name }: Held,
  { codec }: ParsedName,
  parts: AsyncIterable<Uint8Array>,
  compress: SinkContext["doors"]["compress"],
  seed: bigint,
): Promise<{ lines: BigUint64Array; bytes: number; digest: string }> {
  const lines = new LineHashes(seed);
  const hash = new Bun.CryptoHasher("sha256");
  let bytes = 0;
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const part of parts) {
      hash.update(part);
      bytes += part.byteLength;
      yield part;
    }
  }
  try {
    for await (const piece of expand(hashed(), codec, compress)) lines.add(piece);
    return { lines: lines.finish(), bytes, digest: hash.digest("hex") };
  } catch (cause) {
    if (!(cause instanceof BodyDamaged)) throw cause;
    throw new Fault({
      code: "rebuild_object_unreadable",
      retry: "denied",
      message: `rebuild the journal: read ${lane}/${name}`,
      hint: "nobody can tell which records it has: mend it; or move it away, and what of it the spool holds is shipped again",
      cause,
    });
  }
}

async function askReceiver(
  sink: Sink,
  reader: SpoolReader,
  { from, next }: { readonly from: number; readonly next: number },
  kill: AbortSignal,
): Promise<Arrived> {
  const received = await sink.received?.([reader.epoch, ...(reader.pastEpochs ?? [])], kill);
  const none = { listed: false, from, objects: 0, delivered: [], foreign: 0, foreignIn: undefined };
  if (received === undefined) return { ...none, ranges: [], unsure: next - from };
  const all = union(received.low === 0 ? [] : [[0, received.low - 1]], received.ranges);
  const ranges = within(all, from, next - 1);
  const rest: readonly Range[] = next > from ? subtract([[from, next - 1]], ranges) : [];
  return { ...none, ranges, unsure: received.exact ? 0 : countOf(rest) };
}

/** What the new journal says. */
export function entriesOf({ from, ranges, delivered, listed }: Arrived, reader: SpoolReader, freshEpoch: string): Entry[] {
  return [
    { kind: "passed", low: from, above: ranges },
    ...delivered.map((each): Entry => ({ kind: "had", ...each })),
    // As if the sink had been opened in this epoch of the spool already: its plans then take one of their own.
    ...(listed ? [{ kind: "opened", spool_epoch: reader.epoch, epoch: freshEpoch } as const] : []),
  ];
}
