/**
 * A sink whose journal cannot be used holds: it delivers nothing, gives nothing up, and stands in health as failing, while
 * sources, spool and all other sinks go on.
 *
 * Without its journal nobody knows what has arrived: to begin anew would deliver all of it twice, to begin at the end would
 * lose it. So it waits for somebody to bring the file back, looks again now and then, and goes on by itself. Its claim on the
 * spool is everything, as of every sink that has not spoken yet. Only a journal of a later version ends the start.
 */
import type { SinkStatus } from "../core/contract.ts";
import { Fault } from "../core/fault.ts";
import type { Signals } from "../core/signals.ts";
import { openSink, type SinkOptions, type SinkRunner } from "./deliver.ts";
import { Scoreboard } from "./scoreboard.ts";

export interface HoldOptions<Config = unknown> extends SinkOptions<Config> {
  /** The sink had a journal in this spool before: without one now, it is lost and not new. */
  readonly expected: boolean;
  /** Called once a journal that was not expected is there, before anything is delivered: from then on it is. Rejects with a Fault: the sink holds. */
  readonly made: () => Promise<void>;
}

/** Between two looks whether the journal can be used again. */
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
    return expected ? runner : ((await noted(options, runner)) ?? runner);
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
    hint: "put it back; or give the sink another name, which ships again everything the spool holds",
  });
}

class HeldRunner<Config> implements SinkRunner {
  readonly #options: HoldOptions<Config>;
  readonly #scores: Scoreboard;
  #runner: SinkRunner | undefined;
  #ended = false;

  constructor(options: HoldOptions<Config>, fault: Fault) {
    this.#options = options;
    this.#scores = new Scoreboard(options.name, options.context.board, options.context.doors.clock);
    this.#scores.stand("journal", fault);
  }

  get holding(): boolean {
    return this.#runner === undefined;
  }

  async run(signals: Signals): Promise<void> {
    const { clock } = this.#options.context.doors;
    while (!signals.stop.aborted && !signals.kill.aborted) {
      await clock.sleep(lookMs, signals.stop, signals.kill);
      const opened = await attempt(this.#options);
      this.#scores.stand("journal", opened instanceof Fault ? opened : undefined);
      if (opened instanceof Fault) continue;
      this.#runner = opened;
      return opened.run(signals);
    }
    this.#ended = true;
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
