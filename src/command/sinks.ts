/**
 * `logferry sinks forget NAME`: gives up what a sink that is not configured any more still holds in the spool.
 *
 * It needs the spool for itself: an instance that runs is to be stopped first. What is given up is said before and after;
 * `--dry-run` only says it. The spool lets go of the records at the next start.
 * Exit codes: 0 given up, 1 it could not be (an instance runs, the sink is configured or holds nothing), 2 usage or configuration.
 */
import { dirname } from "node:path";
import { Fault } from "../core/fault.ts";
import { Journal } from "../sink/journal.ts";
import { countOf, within } from "../sink/ranges.ts";
import { readIdentity, writeIdentity } from "../spool/identity.ts";
import { Reserve } from "../spool/reserve.ts";
import { listSegments } from "../spool/inspect.ts";
import { layoutOf, type Layout } from "../spool/layout.ts";
import { takeLock, type TakeLock } from "../spool/lock.ts";
import { loadOrTell } from "./config.ts";
import { humanBytes, plural } from "./human.ts";
import type { Io } from "./io.ts";

export interface ForgetOptions {
  config: string;
  json?: boolean;
  dryRun?: boolean;
}

/** What a sink has not delivered of what the spool holds; bytes are NDJSON, to about a segment's mean. */
interface Held {
  records: number;
  bytes: number;
  /** Everything below it was delivered. */
  from_sequence: number;
}

export async function forget(name: string, options: ForgetOptions, io: Io, lock: TakeLock = takeLock): Promise<number> {
  const config = await loadOrTell(options.config, io);
  if (config === undefined) return 2;
  const layout = layoutOf(config.spool.dir);
  if (Object.hasOwn(config.sinks, name)) {
    throw refusal("sink_configured", `forget sink ${name}: ${options.config} still has it`, "take it out of the configuration first, and restart");
  }
  const left = await journals(io, layout);
  if (!left.includes(name)) {
    const others = left.filter((other) => !Object.hasOwn(config.sinks, other));
    const hint =
      others.length === 0 ? "no sink that is not configured holds anything" : `these are not configured and still hold: ${others.join(", ")}`;
    throw refusal("sink_unknown", `forget sink ${name}: no such sink has a journal in ${layout.dir}`, hint);
  }
  using _ = owned(layout, lock);
  const held = await heldBy(name, layout, io);
  const given = options.dryRun !== true;
  if (given) await remove(name, layout, io);
  if (options.json === true) await io.stdout(`${JSON.stringify({ sink: name, forgotten: given, ...held }, null, 2)}\n`);
  else {
    const what = `${plural(held.records, "record")} (${humanBytes(held.bytes)}) from sequence ${held.from_sequence} on that it never delivered`;
    await io.stdout(given ? `${name} is forgotten; given up: ${what}\n` : `${name} would give up ${what}\n`);
  }
  return 0;
}

function refusal(code: string, message: string, hint: string): Fault {
  return new Fault({ code, retry: "never", message, hint });
}

function owned(layout: Layout, lock: TakeLock): Disposable {
  try {
    return lock(layout.lock);
  } catch (cause) {
    if (!(cause instanceof Fault) || cause.code !== "spool_locked") throw cause;
    throw refusal(
      "spool_locked",
      `forget a sink: an instance runs on ${layout.dir}`,
      "stop it, run this again, then start it: nothing is lost meanwhile",
    );
  }
}

async function journals({ doors }: Io, layout: Layout): Promise<string[]> {
  if ((await doors.disk.stat(layout.sinks)) === undefined) return [];
  return (await doors.disk.list(layout.sinks)).filter((name) => name.endsWith(".journal")).map((name) => name.slice(0, -".journal".length));
}

async function heldBy(name: string, layout: Layout, { doors }: Io): Promise<Held> {
  const { low, above } = await progress(name, layout, doors);
  const held: Held = { records: 0, bytes: 0, from_sequence: low };
  for await (const { first_sequence, last_sequence, records, raw_bytes } of listSegments(doors.disk, layout.dir)) {
    const from = Math.max(first_sequence, low);
    if (records === 0 || last_sequence < from) continue;
    const missing = last_sequence - from + 1 - countOf(within(above, from, last_sequence));
    held.records += missing;
    held.bytes += Math.round((raw_bytes * missing) / (last_sequence - first_sequence + 1));
  }
  return held;
}

/** A journal that says nothing any more holds everything, as the running instance has it. */
async function progress(name: string, layout: Layout, doors: Io["doors"]): Promise<{ low: number; above: Journal["ledger"]["above"] }> {
  try {
    const journal = await Journal.open({ path: `${layout.sinks}/${name}.journal`, sink: name, spoolId: "", doors, onFault: () => {} });
    await journal.close();
    return journal.ledger;
  } catch (cause) {
    if (cause instanceof Fault && cause.code === "journal_damaged") return { low: 0, above: [] };
    throw cause;
  }
}

async function remove(name: string, layout: Layout, { doors: { disk } }: Io): Promise<void> {
  // First that it was ever known: a sink of that name that comes back is then a new one, not one that lost its journal.
  const identity = await readIdentity(disk, layout.identity);
  if (typeof identity === "object" && identity.sinks?.includes(name) === true) {
    const sinks = identity.sinks.filter((other) => other !== name);
    await writeIdentity(disk, layout, { ...identity, sinks }, () => new Reserve(disk, layout.reserve).release());
  }
  const path = `${layout.sinks}/${name}.journal`;
  for (const each of [path, `${path}.tmp`, `${path}.damaged`]) await disk.remove(each);
  await disk.syncDirectory(dirname(path));
}
