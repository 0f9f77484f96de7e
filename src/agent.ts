/**
 * The agent: opens the stages, joins them, and drains them in the order of the flow.
 *
 *     open    spool → sinks → sources → control        (a fault here ends the start)
 *     run     sources and sinks side by side until `stop`, or until every source has nothing more to read
 *     drain   sources return → spool syncs → sinks deliver until `drain_timeout` → control last
 *
 * Once the spool has synced nothing can be lost, so cutting the sinks short is honest: exit code 3, and the next start goes on.
 */
import type { Config } from "./config/config.ts";
import { openControl, type Control } from "./control/control.ts";
import { createBoard, degradedAtMost, type Board } from "./core/board.ts";
import type { Doors } from "./core/doors.ts";
import { describe, Fault } from "./core/fault.ts";
import { readBytes } from "./core/limits.ts";
import type { Log } from "./core/log.ts";
import { createMeter, type Meter } from "./core/meter.ts";
import { Buffers } from "./core/pool.ts";
import type { Signals } from "./core/signals.ts";
import { version } from "./core/version.ts";
import { keepClaim } from "./sink/claim.ts";
import type { SinkRunner } from "./sink/deliver.ts";
import { openSinkOrHold } from "./sink/hold.ts";
import { streamFields } from "./sink/partition.ts";
import { openSpool, type Spool } from "./spool/spool.ts";
import { unusable } from "./spool/start.ts";
import { giveUpOptional } from "./agent/optional.ts";
import { SourceRunner } from "./agent/source.ts";
import { AgentView } from "./agent/view.ts";

export interface AgentOptions {
  readonly config: Config;
  /** Read everything that is there now, deliver it, return. */
  readonly once: boolean;
  readonly signals: Signals;
  readonly log: Log;
  readonly doors: Doors;
  /** Called a few times a second. */
  readonly onProgress?: (progress: { records_read: number; records_delivered: number; lag_bytes: number }) => void;
}

const cannotListen = new Set(["control_address_in_use", "control_listen_failed"]);
/** Read buffers for all sources together: 16 x 512 KiB keep disk, encoder and compressor busy at once. */
const readBuffers = 16;
const progressMs = 200;
const controlGraceMs = 1000;
/** How long a killed component may take to let go before it is left behind. */
const killedGraceMs = 2000;

interface Stages {
  readonly config: Config;
  readonly doors: Doors;
  readonly board: Board;
  readonly log: Log;
  readonly meter: Meter;
  readonly spool: Spool;
  readonly sinks: Map<string, { runner: SinkRunner; holdsMs: number; required: boolean }>;
  readonly sources: SourceRunner[];
}

/**
 * Runs until `signals.stop` (or, with `once`, until all is delivered) and drains. Exit: 0 everything delivered, 1 a source gave
 * up or could not read what it was to read, 3 the drain was cut short. Rejects with a Fault when it cannot start.
 */
export async function runAgent(options: AgentOptions): Promise<{ exit: 0 | 1 | 3 }> {
  const { config, doors, log, once } = options;
  const kill = new AbortController();
  const onKill = (): void => kill.abort();
  options.signals.kill.addEventListener("abort", onKill, { once: true });
  if (options.signals.kill.aborted) kill.abort();
  try {
    const stages = await openStages(config, doors, log, once, kill.signal);
    const { control, view } = await openView(stages, once);
    return await runStages(options, stages, kill, view, control);
  } finally {
    options.signals.kill.removeEventListener("abort", onKill);
  }
}

async function openStages(config: Config, doors: Doors, log: Log, once: boolean, kill: AbortSignal): Promise<Stages> {
  const board = createBoard(log, () => doors.clock.now());
  const meter = createMeter();
  const names = Object.keys(config.sinks);
  const left = await journalsLeft(doors, config.spool.dir, names);
  if (left.length > 0) log.warn("sinks no longer configured keep their claim on undelivered data", { component: "spool", sinks: left.join(" ") });
  const spool = await openSpool({
    config: config.spool,
    doors,
    board,
    log,
    meter,
    writer: version,
    machineId: await machineId(doors),
    sinks: [...names, ...left],
    holds: heldBytes(config),
    kill,
  });
  const stages: Stages = { config, doors, board, log, meter, spool, sinks: new Map(), sources: [] };
  try {
    // One that is configured no more and whose journal is gone is nobody's concern any more.
    await spool.noteSinks(spool.sinksKnown.filter((name) => names.includes(name) || left.includes(name)));
    for (const name of left) await keepClaimOf(stages, name);
    for (const name of names) await addSink(stages, name);
    addSources(stages, once);
    for (const source of stages.sources) await source.open();
    return stages;
  } catch (cause) {
    await closeStages(stages);
    throw cause;
  }
}

/** Sinks that are not required, with what each may hold. */
function heldBytes({ sinks }: Config): ReadonlyMap<string, number> {
  const held = new Map<string, number>();
  for (const [name, { kind, config }] of Object.entries(sinks)) {
    const { required = true, holdBytes = Infinity } = kind.delivery(config);
    if (!required) held.set(name, holdBytes);
  }
  return held;
}

async function closeStages({ sources, sinks, spool }: Stages): Promise<void> {
  for (const source of sources) await source[Symbol.asyncDispose]();
  for (const { runner } of sinks.values()) await runner[Symbol.asyncDispose]();
  await spool.close();
}

/** With `once` there need not be a control API: a backfill beside the service ships all the same. */
async function openView(stages: Stages, once: boolean): Promise<{ view: AgentView; control: Control | undefined }> {
  const { config, doors, log, spool, sinks, sources, board, meter } = stages;
  const view = new AgentView({
    host: config.host,
    spool,
    sources,
    sinks,
    board,
    meter,
    clock: doors.clock,
    stalledAfterMs: config.health.stalled_after,
  });
  const socketPath = config.control.socket ?? `${spool.layout.dir}/control.sock`;
  try {
    return { view, control: await openControl({ config: config.control, socketPath, view, doors, log: log.with({ component: "control" }), board }) };
  } catch (cause) {
    if (once && cause instanceof Fault && cannotListen.has(cause.code)) {
      log.warn(cause.message, {
        component: "control",
        code: cause.code,
        hint: "this run goes on without its control API; or give it another control.listen",
      });
      return { view, control: undefined };
    }
    await closeStages(stages);
    throw cause;
  }
}

/** A sink taken out of the configuration holds what it had not delivered; one whose journal cannot be read holds everything. */
async function keepClaimOf({ doors, log, spool }: Stages, name: string): Promise<void> {
  try {
    await keepClaim(name, `${spool.layout.sinks}/${name}.journal`, spool.reader, doors);
  } catch (cause) {
    log.warn("journal of a sink that is not configured cannot be read", { component: `sinks.${name}`, cause: describe(cause) });
  }
}

async function addSink({ config, doors, board, log, meter, spool, sinks }: Stages, name: string): Promise<void> {
  const entry = config.sinks[name];
  if (entry === undefined) return;
  const component = `sinks.${name}`;
  const { ageMsMax, required = true } = entry.kind.delivery(entry.config);
  const own = required ? board : degradedAtMost(board);
  const context = { name, host: config.host, spoolId: spool.reader.id, doors, board: own, log: log.with({ component }) };
  const journalPath = `${spool.layout.sinks}/${name}.journal`;
  const expected = spool.sinksForgotten || spool.sinksKnown.includes(name);
  // Noted after the journal is made: between the two it is taken for a new sink again, which it is.
  const made = (): Promise<void> => spool.noteSinks([...spool.sinksKnown, name]);
  const common = { reader: spool.reader, journalPath, context, meter };
  const runner = await openSinkOrHold({ name, kind: entry.kind, config: entry.config, ...common, expected, made });
  sinks.set(name, { runner, holdsMs: ageMsMax, required });
}

function addSources({ config, doors, board, log, meter, spool, sources }: Stages, once: boolean): void {
  const fields = streamFields(Object.values(config.sinks).map(({ kind, config: own }) => kind.delivery(own)));
  const buffers = new Buffers(readBytes, readBuffers);
  for (const [name, { kind, config: own }] of Object.entries(config.sources)) {
    const context = {
      name,
      host: config.host,
      once,
      positions: spool.positions(name),
      directory: `${spool.layout.sources}/${encodeURIComponent(name)}`,
      accepting: () => spool.accepting(),
      spoolId: spool.reader.id,
      buffers,
      doors,
      board,
      log: log.with({ component: `sources.${name}` }),
    };
    sources.push(new SourceRunner({ kind, config: own, context, fields, spool, doors, board, meter }));
  }
}

async function runStages(
  options: AgentOptions,
  stages: Stages,
  kill: AbortController,
  view: AgentView,
  control: Control | undefined,
): Promise<{ exit: 0 | 1 | 3 }> {
  const { config, doors, log } = options;
  const { spool, sinks, sources } = stages;
  const over = new AbortController();
  log.info("started", { version, host: config.host, control: control?.address });
  const beside = [view.watch(over.signal), progress(options, stages, over.signal), deadline(options, kill, over.signal)];
  const sinksStop = new AbortController();
  const left = new AbortController();
  const optionalKill = AbortSignal.any([kill.signal, left.signal]);
  const delivering = [...sinks.values()].map(({ runner, required }) =>
    runner.run({ stop: sinksStop.signal, kill: required ? kill.signal : optionalKill }),
  );
  const reading = sources.map((source) => source.run({ stop: options.signals.stop, kill: kill.signal }));
  view.started = true;

  await Promise.all(reading);
  await spool.seal();
  sinksStop.abort();
  const delivered = settleOrKilled(Promise.all(delivering), kill.signal, doors);
  if (options.once) await giveUpOptional(sinks, delivered, left, { clock: doors.clock, patienceMs: config.drain_timeout, over: kill.signal });
  await delivered;
  const behind = sinksBehind(stages);
  over.abort();
  await Promise.all(beside);
  await control?.close(controlGraceMs);
  for (const { runner } of sinks.values()) await settleOrKilled(Promise.resolve(runner[Symbol.asyncDispose]()), kill.signal, doors);
  await spool.close();
  const exit = behind.some(({ required }) => required) ? 3 : failedToRead(stages, options.once) ? 1 : 0;
  log.info(exit === 3 ? "stopped; what is not delivered is safe in the spool and goes on at the next start" : "stopped", { exit });
  return { exit };
}

/** Sinks that have not got everything; of those that are not required it is only said. */
function sinksBehind({ sinks, spool, log }: Stages): readonly { readonly required: boolean }[] {
  const behind = [...sinks].filter(([, { runner }]) => runner.status().delivered_sequence < spool.reader.nextSequence() - 1);
  for (const [name, { runner, required }] of behind) {
    if (required) continue;
    const { lag_records } = runner.status();
    log.warn("a sink that is not required has not got everything; the next start goes on with what the spool keeps for it", {
      component: `sinks.${name}`,
      lag_records,
    });
  }
  return behind.map(([, sink]) => sink);
}

/** A source gave up; with `once` also one that could not read what it was told to read. */
function failedToRead({ sources, board }: Stages, once: boolean): boolean {
  if (sources.some((source) => source.failed)) return true;
  return once && board.reasons().some(({ component, severity }) => component.startsWith("sources.") && severity === "failing");
}

/** After `stop`, everything has `drain_timeout` to finish; then it is cut. */
async function deadline({ signals, config, doors, log }: AgentOptions, kill: AbortController, over: AbortSignal): Promise<void> {
  const stopped = Promise.withResolvers<void>();
  const listener = (): void => stopped.resolve();
  for (const signal of [signals.stop, over]) signal.addEventListener("abort", listener, { once: true });
  if (signals.stop.aborted || over.aborted) listener();
  await stopped.promise;
  for (const signal of [signals.stop, over]) signal.removeEventListener("abort", listener);
  if (over.aborted) return;
  log.info("stopping: what was read is made durable and delivered", { drain_timeout_ms: config.drain_timeout });
  await doors.clock.sleep(config.drain_timeout, over, kill.signal);
  if (!over.aborted) kill.abort();
}

async function progress({ onProgress, doors }: AgentOptions, { sources, sinks, spool }: Stages, over: AbortSignal): Promise<void> {
  if (onProgress === undefined) return;
  const first = spool.reader.nextSequence();
  const tell = (): void => {
    const statuses = [...sinks.values()].map(({ runner }) => runner.status());
    onProgress({
      records_read: sources.reduce((sum, source) => sum + source.records, 0),
      records_delivered: Math.max(0, Math.min(...statuses.map((status) => status.delivered_sequence)) + 1 - first),
      lag_bytes: Math.max(0, ...statuses.map((status) => status.lag_bytes)) + sources.reduce((sum, source) => sum + source.lagBytes, 0),
    });
  };
  while (!over.aborted) {
    tell();
    await doors.clock.sleep(progressMs, over);
  }
  tell();
}

/** Waits for `work`; once killed, only a little longer. */
async function settleOrKilled(work: Promise<unknown>, kill: AbortSignal, doors: Doors): Promise<void> {
  const settled = new AbortController();
  const left = async (): Promise<void> => {
    while (!kill.aborted && !settled.signal.aborted) await doors.clock.sleep(60_000, kill, settled.signal);
    await doors.clock.sleep(killedGraceMs, settled.signal);
  };
  await Promise.race([work.finally(() => settled.abort()), left()]);
}

/** Names of sinks that have a journal and are not configured any more. Rejects with Fault `spool_unusable` (never). */
async function journalsLeft(doors: Doors, dir: string, configured: readonly string[]): Promise<string[]> {
  const folder = `${dir}/sinks`;
  try {
    if ((await doors.disk.stat(folder)) === undefined) return [];
    const journals = (await doors.disk.list(folder)).filter((name) => name.endsWith(".journal")).map((name) => name.slice(0, -".journal".length));
    return journals.filter((name) => !configured.includes(name));
  } catch (cause) {
    // Not taken for "none": what these sinks hold would be given up.
    throw unusable(dir, cause);
  }
}

/** The machine's id, or an empty text where it has none (many containers). */
async function machineId(doors: Doors): Promise<string> {
  try {
    await using file = await doors.disk.open("/etc/machine-id", "read");
    const bytes = Buffer.alloc(64);
    return bytes.toString("utf8", 0, await file.read(bytes, 0)).trim();
  } catch {
    return "";
  }
}
