/**
 * `logferry verify`: what each sink's journal says has arrived, what the spool holds and what lies in the bucket or folder, compared.
 *
 * It writes nothing and needs nobody to stop: a running instance goes on beside it. What it can and cannot tell stands in
 * sink/audit.ts and in docs/operating.md. A sink whose far side keeps no objects (http) is named and left out.
 * Exit codes: 0 all of it agrees, 1 it does not or could not be compared, 2 usage or configuration.
 */
import { createBoard } from "../core/board.ts";
import type { SinkContext } from "../core/contract.ts";
import { describe, excerpt, Fault } from "../core/fault.ts";
import { silent } from "../core/log.ts";
import type { Config } from "../config/config.ts";
import { audit, countFindings, type Audit } from "../sink/audit.ts";
import { Journal } from "../sink/journal.ts";
import type { Ledger } from "../sink/ledger.ts";
import { readIdentity } from "../spool/identity.ts";
import { listFrames, readPayload } from "../spool/inspect.ts";
import { layoutOf } from "../spool/layout.ts";
import { loadOrTell } from "./config.ts";
import { humanBytes, humanCount, plural } from "./human.ts";
import type { Io } from "./io.ts";
import { table } from "./table.ts";

export interface VerifyOptions {
  readonly config: string;
  readonly sink?: string;
  readonly deep?: boolean;
  readonly json?: boolean;
}

type Outcome = Audit | { readonly fault: Fault } | { readonly skipped: string };

export async function run(options: VerifyOptions, io: Io): Promise<number> {
  const config = await loadOrTell(options.config, io);
  if (config === undefined) return 2;
  const { sink } = options;
  if (sink !== undefined && !Object.hasOwn(config.sinks, sink)) {
    io.stderr(`logferry: --sink ${sink}: there is no such sink in ${options.config}; it has ${Object.keys(config.sinks).join(", ")}\n`);
    return 2;
  }
  const identity = await readIdentity(io.doors.disk, layoutOf(config.spool.dir).identity);
  if (typeof identity !== "object") {
    const hint = "name the configuration of the instance with --config; a spool that was never used has nothing to compare";
    throw new Fault({ code: "spool_missing", retry: "never", message: `read spool ${config.spool.dir}: it has no identity`, hint });
  }
  const outcomes = new Map<string, Outcome>();
  for (const name of sink === undefined ? Object.keys(config.sinks) : [sink]) {
    outcomes.set(name, await verifySink(config, name, identity.spool_id, options.deep === true, io));
  }
  await io.stdout(options.json === true ? jsonText(outcomes) : text(outcomes));
  return [...outcomes.values()].every((outcome) => "skipped" in outcome || ("findings" in outcome && outcome.findings.length === 0)) ? 0 : 1;
}

async function verifySink(config: Config, name: string, spoolId: string, deep: boolean, io: Io): Promise<Outcome> {
  const entry = config.sinks[name];
  if (entry === undefined) return { skipped: "it is not configured" };
  const { disk, compress, clock } = io.doors;
  const { dir } = config.spool;
  const context: SinkContext = {
    name,
    host: config.host,
    spoolId,
    doors: io.doors,
    board: createBoard(silent, () => clock.now()),
    log: silent,
  };
  try {
    await using sink = await entry.kind.open(entry.config, context);
    if (sink.holdings === undefined) return { skipped: `a sink of type ${entry.kind.type} leaves nothing that could be listed` };
    return await audit({
      delivery: entry.kind.delivery(entry.config),
      holdings: sink.holdings,
      ledger: () => readLedger(`${layoutOf(dir).sinks}/${name}.journal`, name, spoolId, io),
      spoolId: spoolId.slice(0, 16),
      frames: () => listFrames(disk, dir),
      reader: { payload: (frame) => readPayload(disk, dir, frame) },
      compress,
      deep,
      kill: new AbortController().signal,
    });
  } catch (cause) {
    if (cause instanceof Fault) return { fault: cause };
    throw cause;
  }
}

async function readLedger(path: string, sink: string, spoolId: string, io: Io): Promise<Ledger> {
  const journal = await Journal.open({ path, sink, spoolId, doors: io.doors, onFault: () => {}, onlyRead: true });
  if (!journal.isNew) return journal.ledger;
  throw new Fault({
    code: "journal_lost",
    retry: "never",
    message: `read journal ${path}: there is none`,
    hint: "a sink that never ran has nothing to compare; the lost journal of another one is made anew when logferry runs",
  });
}

function jsonText(outcomes: ReadonlyMap<string, Outcome>): string {
  const sinks = [...outcomes].map(([name, outcome]) => {
    if ("fault" in outcome) {
      const { code, hint = "" } = outcome.fault;
      return [name, { fault: { code, message: describe(outcome.fault), hint } }];
    }
    if ("skipped" in outcome) return [name, outcome];
    const { findings, objects, bytes, compared, records, older, spoolRecords } = outcome;
    return [name, { objects, bytes, compared, records, older, spool_records: spoolRecords, findings }];
  });
  return `${JSON.stringify({ sinks: Object.fromEntries(sinks) }, null, 2)}\n`;
}

function text(outcomes: ReadonlyMap<string, Outcome>): string {
  const rows: string[][] = [];
  const ends: string[] = [];
  for (const [name, outcome] of outcomes) {
    if ("fault" in outcome) {
      const { code, hint } = outcome.fault;
      ends.push(`${name}: could not be compared: ${code}: ${describe(outcome.fault)}${hint === undefined ? "" : `\n  ${hint}`}`);
    } else if ("skipped" in outcome) ends.push(`${name}: left out: ${outcome.skipped}`);
    else {
      for (const { what, object, message } of outcome.findings) rows.push([name, what, excerpt(object, 200), excerpt(message, 300)]);
      ends.push(endOf(name, outcome));
    }
  }
  const head = rows.length === 0 ? "" : `${table(["SINK", "WHAT", "WHERE", "WHY"], rows)}\n`;
  return `${head}${ends.join("\n")}\n`;
}

/** What was compared, and how it came out. */
function endOf(name: string, { findings, objects, bytes, compared, records, older, spoolRecords }: Audit): string {
  const counts = Object.entries(countFindings(findings)).map(([what, count]) => `${humanCount(count)} ${what.replaceAll("_", " ")}`);
  const rest = older === 0 ? "" : `, ${humanCount(older)} from before what the journal remembers by their sequences only`;
  const spool = spoolRecords === 0 ? "" : `; ${plural(spoolRecords, "record")} still in the spool found among them`;
  const compare = `${plural(objects, "object")} (${humanBytes(bytes)}) listed, ${humanCount(compared)} of them compared with the journal (${plural(records, "record")})${rest}${spool}`;
  return `${name}: ${counts.length === 0 ? "all agrees" : counts.join(", ")}: ${compare}`;
}
