/**
 * A sink whose journal cannot be used holds: it delivers nothing, gives nothing up, and stands in health as failing, while
 * sources, spool and all other sinks go on. Its claim on the spool is everything, as of every sink that has not spoken yet.
 *
 * Without its journal nobody here knows what has arrived: to begin anew would deliver all of it twice, to begin at the end would
 * lose it. A journal that is gone, or has no whole entry, is made anew from what the far side has (rebuild.ts); while that is away
 * or refuses, the sink holds and asks again. One that is there and cannot be read is waited for: it may be whole. If somebody puts
 * the file back in the meantime, that one is used. Only a journal of a later version ends the start.
 */
import { dirname } from "node:path";
import type { SinkStatus } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import { backoffMs } from "../core/retry.ts";
import type { Signals } from "../core/signals.ts";
import { openSink, type SinkOptions, type SinkRunner } from "./deliver.ts";
import { Journal } from "./journal.ts";
import { countOf } from "./ranges.ts";
import { entriesOf, findArrived, type Arrived } from "./rebuild.ts";
import { Scoreboard } from "./scoreboard.ts";

export interface HoldOptions<Config = unknown> extends SinkOptions<Config> {
  /** The sink had a journal in this spool before: without one now, it is lost and not new. */
  readonly expected: boolean;
  /** Called whenever a journal is there, before anything is delivered: from then on it is expected. Rejects with a Fault: the sink holds. */
  readonly made: () => Promise<void>;
}

/** Longest wait between two looks whether the journal can be used again, or made anew. */
const lookMs = 5000;

/** As `openSink`, but a journal that is lost, damaged or unreadable is no reason to reject: the runner then holds. */
export async function openSinkOrHold<Config>(options: HoldOptions<Config>): Promise<SinkRunner & { readonly holding: boolean }> {
  const opened = await attempt(options);
  return opened instanceof Fault ? new HeldRunner(options, opened) : Object.assign(opened, { holding: false });
}

async function attempt<Config>(options: HoldOptions<Config>): Promise<SinkRunner | Fault> {
  const { expected, journalPath, context } = options;
  try {
    if (expected && (await context.doors.disk.stat(journalPath)) === undefined) return lost(journalPath);
    const runner = await openSink(options);
    return (await noted(options, runner)) ?? runner;
  } catch (cause) {
    if (cause instanceof Fault && cause.code.startsWith("journal_") && cause.code !== "journal_format_unknown") return cause;
    throw cause;
  }
}

/** The reason why it could not be written down that the sink has a journal now; the runner is closed then. */
async function noted<Config>({ made }: HoldOptions<Config>, runner: SinkRunner): Promise<Fault | undefined> {
  try {
    await made();
    return undefined;
  } catch (cause) {
    await runner[Symbol.asyncDispose]();
    if (cause instanceof Fault) return cause;
    throw cause;
  }
}

function lost(path: string): Fault {
  return new Fault({
    code: "journal_lost",
    retry: "never",
    message: `read journal ${path}: it is gone`,
    hint: "it is made anew from what the far side has, or put it back; find out what has removed it",
  });
}

/** Nothing in it can be used: what it said has to be found out elsewhere. */
const isGone = (fault: Fault): boolean => fault.code === "journal_lost" || fault.code === "journal_damaged";

class HeldRunner<Config> implements SinkRunner {
  readonly #options: HoldOptions<Config>;
  readonly #scores: Scoreboard;
  #runner: SinkRunner | undefined;
  #ended = false;
  /** Met at the opening, and not looked into yet. */
  #met: Fault | undefined;
  #asked = false;

  constructor(options: HoldOptions<Config>, fault: Fault) {
    this.#options = options;
    this.#met = fault;
    this.#scores = new Scoreboard(options.name, options.context.board, options.context.doors.clock);
    this.#scores.stand("journal", fault);
  }

  get holding(): boolean {
    return this.#runner === undefined;
  }

  async run(signals: Signals): Promise<void> {
    const { clock, random } = this.#options.context.doors;
    for (let tries = 0; !signals.kill.aborted; tries++) {
      const opened = await this.#open(signals);
      if (!(opened instanceof Fault)) {
        this.#runner = opened;
        return opened.run(signals);
      }
      // What is not to be had at the stop is left to the next start.
      if (signals.stop.aborted) break;
      await clock.sleep(
        backoffMs(tries, 250, lookMs, () => random.next()),
        signals.stop,
        signals.kill,
      );
    }
    this.#ended = true;
  }

  /** The sink on its journal, as it is or made anew; or why it holds. */
  async #open(signals: Signals): Promise<SinkRunner | Fault> {
    const met = this.#met ?? (await this.#attempt());
    this.#met = undefined;
    if (!(met instanceof Fault) || !isGone(met)) {
      this.#scores.stand("rebuild", undefined);
      return met;
    }
    const fault = await this.#rebuild(signals.kill);
    // `journal` is failing as it is: of these two it says more.
    this.#scores.stand("rebuild", fault);
    return fault ?? this.#attempt();
  }

  async #attempt(): Promise<SinkRunner | Fault> {
    const opened = await attempt(this.#options);
    this.#scores.stand("journal", opened instanceof Fault ? opened : undefined);
    return opened;
  }

  /** Asks the far side and writes the new journal. Undefined once there is one. */
  async #rebuild(kill: AbortSignal): Promise<Fault | undefined> {
    const { kind, config, context, reader } = this.#options;
    if (!this.#asked) context.log.info("the journal is made anew from what the far side has");
    this.#asked = true;
    try {
      await using sink = await kind.open(config, context);
      const arrived = await findArrived(sink, reader, context, kill);
      if (kill.aborted || !(await this.#write(arrived))) return undefined;
      this.#tell(arrived);
      return undefined;
    } catch (cause) {
      if (cause instanceof Fault) return cause;
      throw cause;
    }
  }

  /** False when somebody has put a journal back in the meantime. */
  async #write(arrived: Arrived): Promise<boolean> {
    const { name, journalPath: path, context, reader } = this.#options;
    const { disk, random } = context.doors;
    const options = { path, sink: name, spoolId: reader.id, doors: context.doors, onFault: () => {}, makeRoom: async () => reader.makeRoom?.() };
    if ((await disk.stat(path)) !== undefined) {
      if (!(await isUnusable(options))) return false;
      await disk.rename(path, `${path}.damaged`);
      await disk.syncDirectory(dirname(path));
    }
    const journal = await Journal.open(options);
    try {
      await journal.create(arrived.from, ...entriesOf(arrived, reader, Buffer.from(random.bytes(4)).toString("hex")));
    } finally {
      await journal.close();
    }
    return true;
  }

  #tell({ from, ranges, objects, foreign, foreignIn, unsure }: Arrived): void {
    const { reader } = this.#options;
    const had = countOf(ranges);
    this.#scores.count(
      "journal_rebuilt",
      `the journal was lost and is made anew: of the ${reader.nextSequence() - from} records the spool holds, ${had} have arrived (${objects} objects read)`,
      "nothing to do: delivery goes on with what is missing; find out what took the journal",
    );
    if (foreign > 0) this.#scores.foreignFound(foreignIn ?? "", foreign, reader.id);
    if (unsure > 0) this.#scores.unsure(unsure);
  }

  flush(): void {
    this.#runner?.flush();
  }

  status(): SinkStatus {
    if (this.#runner !== undefined) return this.#runner.status();
    const { reader, kind } = this.#options;
    const first = reader.firstSequence();
    return this.#scores.status({
      type: kind.type,
      ended: this.#ended,
      low: 0,
      lagRecords: reader.nextSequence() - first,
      lagBytes: reader.bytesFrom(first),
      oldestMs: Infinity,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runner?.[Symbol.asyncDispose]();
  }
}

/** Looked at once more before it is moved away. Rejects with `journal_unreadable`, `journal_format_unknown`. */
async function isUnusable(options: Parameters<typeof Journal.open>[0]): Promise<boolean> {
  try {
    await (await Journal.open(options)).close();
    return false;
  } catch (cause) {
    if (cause instanceof Fault && cause.code === "journal_damaged") return true;
    throw cause;
  }
}
