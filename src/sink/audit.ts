/**
 * What `verify` finds: a sink's journal, the spool and the far side, compared. Reads all three, writes none; also beside an instance that
 * runs, since the journal is read before and after the far side is listed.
 *
 * What it can tell
 * - `missing`, `wrong_size`, `wrong_content`: of the last thousand deliveries (ledger.ts), each by its name.
 * - `extra`: an object under a name of this spool that this sink did not write, as far back as the journal remembers.
 * - `overlap`: two objects of one partition that claim the same sequences, at any time.
 * - `gap`: records the spool still holds and the journal says have arrived, that no object of their partition can have; and for
 *   a sink of all sources, sequences between its objects that none of them claims.
 *
 * What it cannot: an object removed before the last thousand leaves a gap only where no other partition's object lies over the
 * same sequences. A gap may be records that were given up or damaged before they were delivered: they are not there either.
 * After a change of `partition`, `from` or `prefix`, what was shipped before it is looked for where it would go now.
 */
import type { Compress } from "../core/compress.ts";
import type { Delivery, FrameRef, Range, SpoolReader } from "../core/contract.ts";
import type { Held, Holdings } from "../core/holdings.ts";
import { Assigner } from "./assign.ts";
import { RecordsGone } from "./encode.ts";
import type { Ledger } from "./ledger.ts";
import { parseName, type ParsedName } from "./name.ts";
import { subtract, union, within } from "./ranges.ts";

export type Difference = "missing" | "extra" | "overlap" | "gap" | "wrong_size" | "wrong_content";

/** One thing that does not agree. `object` is lane and name; of a gap, the lane, or `""` where it is that of none. */
export interface AuditFinding {
  readonly what: Difference;
  readonly object: string;
  readonly message: string;
}

export interface AuditOptions {
  readonly delivery: Delivery;
  readonly holdings: Holdings;
  /** Reads the sink's journal as it is now. */
  readonly ledger: () => Promise<Ledger>;
  /** First 16 hex digits. */
  readonly spoolId: string;
  readonly frames: () => AsyncIterable<FrameRef>;
  readonly reader: Pick<SpoolReader, "payload">;
  readonly compress: Compress;
  /** Compare contents too: files are read, objects asked for their digest. */
  readonly deep: boolean;
  readonly kill: AbortSignal;
}

/** What was compared. */
export interface Audit {
  readonly findings: readonly AuditFinding[];
  /** Objects under names of this spool, and their bytes. */
  readonly objects: number;
  readonly bytes: number;
  /** Deliveries that were compared one by one, and their records. */
  readonly compared: number;
  readonly records: number;
  /** Objects from before what the journal remembers: only their sequences were looked at. */
  readonly older: number;
  /** Records that the spool still holds and that have arrived. */
  readonly spoolRecords: number;
}

type Found = Held & { readonly parsed: ParsedName };

/** Lines of one kind that are listed before the rest is only counted. */
const findingsMax = 1000;

/** Looked at side by side: a HeadObject takes some 20 ms. */
const deepAtOnce = 8;

/** Rejects with the faults of the far side and of the journal. */
export async function audit(options: AuditOptions): Promise<Audit> {
  const before = await options.ledger();
  const spools = new Set([options.spoolId, ...before.delivered.map(({ name }) => parseName(name)?.spool ?? options.spoolId)]);
  const found = new Map<string, Found>();
  let bytes = 0;
  for await (const held of options.holdings.list((name) => spools.has(parseName(name)?.spool ?? ""), options.kill)) {
    const parsed = parseName(held.name);
    if (parsed === undefined) continue;
    found.set(pathOf(held), { ...held, parsed });
    bytes += held.bytes;
  }
  const after = await options.ledger();
  const objects = [...found.values()].sort((a, b) => a.parsed.first - b.parsed.first);
  const { extra, older } = extras(objects, before, after);
  const spool = await compareSpool(options, before, objects);
  const findings = [
    ...missing(before, found),
    ...(options.deep ? await contents(options, before, found) : []),
    ...extra,
    ...overlaps(objects),
    ...spool.gaps,
    ...(options.delivery.from === undefined ? between(objects, Math.min(before.low, spool.first)) : []),
  ];
  const compared = before.delivered.filter((delivered) => found.has(pathOf(delivered)));
  const records = compared.reduce((sum, delivered) => sum + delivered.records, 0);
  return { findings, objects: objects.length, bytes, compared: compared.length, records, older, spoolRecords: spool.records };
}

const pathOf = ({ lane, name }: { readonly lane: string; readonly name: string }): string => `${lane}/${name}`;
const rangeText = ([first, last]: Range): string => (first === last ? `record ${first}` : `records ${first} to ${last}`);

function missing({ delivered }: Ledger, found: ReadonlyMap<string, Found>): AuditFinding[] {
  return delivered.flatMap((each): AuditFinding[] => {
    const object = pathOf(each);
    const there = found.get(object);
    if (there === undefined) return [{ what: "missing", object, message: `its ${each.records} records were delivered, and it is not there` }];
    if (there.bytes === each.bytes) return [];
    return [{ what: "wrong_size", object, message: `${each.bytes} bytes were delivered, ${there.bytes} are there` }];
  });
}

async function contents({ holdings, kill }: AuditOptions, { delivered }: Ledger, found: ReadonlyMap<string, Found>): Promise<AuditFinding[]> {
  const findings: AuditFinding[] = [];
  const rest = delivered.filter((each) => found.get(pathOf(each))?.bytes === each.bytes).values();
  const work = async (): Promise<void> => {
    for (const each of rest) {
      const held = found.get(pathOf(each));
      const said = held === undefined ? undefined : await holdings.describe(held, kill);
      if (said?.digest !== undefined && said.digest !== each.digest)
        findings.push({ what: "wrong_content", object: pathOf(each), message: `its SHA-256 is ${said.digest}, ${each.digest} was delivered` });
    }
  };
  await Promise.all(Array.from({ length: deepAtOnce }, work));
  return findings;
}

/** Objects nobody here has written. What a running instance wrote while we looked stands in the later journal. */
function extras(objects: readonly Found[], before: Ledger, after: Ledger): { extra: AuditFinding[]; older: number } {
  const ours = new Set([...before.delivered, ...before.plans.values(), ...after.delivered, ...after.plans.values()].map(pathOf));
  const unknown = objects.filter((object) => !ours.has(pathOf(object)));
  const extra = unknown.filter(({ parsed }) => parsed.first > after.forgotten);
  return {
    older: unknown.length - extra.length,
    extra: extra.map((object) => ({
      what: "extra",
      object: pathOf(object),
      message: `it has a name of this spool, and the journal knows nothing of it: another copy of the spool, or another sink, wrote it`,
    })),
  };
}

/** Objects of one partition that claim the same sequences; `objects` are in order. */
function overlaps(objects: readonly Found[]): AuditFinding[] {
  const furthest = new Map<string, Found>();
  const findings: AuditFinding[] = [];
  for (const object of objects) {
    const before = furthest.get(object.lane);
    if (before !== undefined && before.parsed.last >= object.parsed.first) {
      const shared: Range = [object.parsed.first, Math.min(before.parsed.last, object.parsed.last)];
      findings.push({ what: "overlap", object: pathOf(object), message: `${rangeText(shared)} are claimed by ${before.name} too` });
    }
    if (before === undefined || before.parsed.last < object.parsed.last) furthest.set(object.lane, object);
  }
  return findings;
}

/** Records the spool still holds, that have arrived as far as the journal says. */
async function compareSpool(
  { delivery, frames, reader, compress }: AuditOptions,
  ledger: Ledger,
  objects: readonly Found[],
): Promise<{ first: number; records: number; gaps: AuditFinding[] }> {
  const claimed = new Map<string, Range[]>();
  for (const [lane, members] of Map.groupBy(objects, (object) => (delivery.partition === undefined ? "" : object.lane))) {
    claimed.set(
      lane,
      union(
        members.map(({ parsed }) => [parsed.first, parsed.last]),
        [],
      ),
    );
  }
  const done = ledger.low === 0 ? ledger.above : union([[0, ledger.low - 1]], ledger.above);
  const assigner = new Assigner(delivery, reader, compress);
  const gaps = new Map<string, Range[]>();
  let records = 0;
  let oldest = Infinity;
  for await (const frame of frames()) {
    oldest = Math.min(oldest, frame.firstSequence);
    const first = Math.max(frame.firstSequence, ledger.forgotten + 1);
    const wanted = within(done, first, frame.firstSequence + frame.records - 1);
    if (wanted.length === 0) continue;
    for (const share of await sharesOf(assigner, frame, wanted)) {
      records += share.records;
      const rest = subtract(share.ranges, claimed.get(share.partition) ?? []);
      if (rest.length > 0) gaps.set(share.partition, union(gaps.get(share.partition) ?? [], rest));
    }
  }
  const findings = [...gaps].flatMap(([lane, ranges]) =>
    ranges.slice(0, findingsMax).map((range): AuditFinding => {
      const message = `${rangeText(range)} of it lie in the spool and count as delivered, and no object there can have them`;
      return { what: "gap", object: lane, message };
    }),
  );
  return { first: oldest, records, gaps: findings };
}

async function sharesOf(assigner: Assigner, frame: FrameRef, wanted: readonly Range[]): ReturnType<Assigner["shares"]> {
  try {
    return await assigner.shares(frame, wanted);
  } catch (cause) {
    if (cause instanceof RecordsGone) return []; // damage, which `spool verify` names
    throw cause;
  }
}

/** Sequences from the first object up to `end` that none claims; from there on the spool itself was asked. */
function between(objects: readonly Found[], end: number): AuditFinding[] {
  const [oldest] = objects;
  if (oldest === undefined || end <= oldest.parsed.first) return [];
  const claimed = union(
    objects.map(({ parsed }): Range => [parsed.first, parsed.last]),
    [],
  );
  return subtract([[oldest.parsed.first, end - 1]], claimed)
    .slice(0, findingsMax)
    .map((range) => ({
      what: "gap",
      object: "",
      message: `${rangeText(range)} are in no object: given up or damaged before they were delivered, or their objects were removed`,
    }));
}

/** How many of each kind. */
export function countFindings(findings: readonly AuditFinding[]): Partial<Record<Difference, number>> {
  return Object.fromEntries([...Map.groupBy(findings, ({ what }) => what)].map(([what, members]) => [what, members.length]));
}
