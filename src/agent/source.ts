/**
 * One source as the agent runs it: opened, joined to its encoder and the spool, and opened again after a fault.
 *
 * A source that fails is shown as failing and tried again with backoff, from the positions that were committed; the others
 * go on. What can never work (`never`) is given up and said.
 */
import type { Board } from "../core/board.ts";
import type { Chunk, Emit, Source, SourceContext, SourceKind, SpoolWriter, StreamFields } from "../core/contract.ts";
import type { Doors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";
import type { Meter } from "../core/meter.ts";
import { backoffMs } from "../core/retry.ts";
import type { Signals } from "../core/signals.ts";
import type { FullSourceStatus } from "../core/view.ts";
import { createEncoder, type Encoder } from "../pipeline/encoder.ts";

export interface SourceRunnerOptions {
  readonly kind: SourceKind;
  readonly config: unknown;
  readonly context: SourceContext;
  readonly fields: StreamFields;
  readonly spool: SpoolWriter;
  readonly doors: Doors;
  readonly board: Board;
  readonly meter: Meter;
}

/** Keys of any source's configuration that its encoder obeys. */
interface EncoderKeys {
  readonly labels?: Record<string, string>;
  readonly line_bytes_max?: number;
  readonly empty_lines?: "keep" | "skip";
}

const retryMsMin = 1000;
const retryMsMax = 60_000;

export class SourceRunner {
  readonly name: string;
  readonly #options: SourceRunnerOptions;
  readonly #encoder: Encoder;
  #source: Source | undefined;
  #records = 0;
  #bytes = 0;
  #lastReadMs: number | undefined;
  #over: "done" | "failed" | undefined;

  constructor(options: SourceRunnerOptions) {
    const { context, config, fields } = options;
    const { labels = {}, line_bytes_max, empty_lines } = config as EncoderKeys;
    this.name = context.name;
    this.#options = options;
    this.#encoder = createEncoder({
      name: context.name,
      host: context.host,
      labels,
      fields,
      ...(line_bytes_max === undefined ? {} : { lineBytesMax: line_bytes_max }),
      ...(empty_lines === undefined ? {} : { emptyLines: empty_lines }),
    });
  }

  /** What it can be asked for before `run`: opens the source once, so that a port in use ends the start. */
  async open(): Promise<void> {
    const { kind, config, context } = this.#options;
    this.#source = await kind.open(config, context);
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get failed(): boolean {
    return this.#over === "failed";
  }

  /** Runs until `stop`, or until the source has nothing more to read. Rejects only for a bug. */
  async run(signals: Signals): Promise<void> {
    const { doors, board, context } = this.#options;
    const component = `sources.${this.name}`;
    for (let attempt = 0; !signals.stop.aborted; attempt++) {
      const before = this.#records;
      const fault = await this.#runOnce(signals);
      if (fault === undefined || signals.stop.aborted) break;
      if (fault.retry === "never" || context.once) {
        this.#over = "failed";
        board.raise(component, "failing", fault);
        return;
      }
      if (this.#records > before) attempt = 0;
      board.raise(component, "failing", fault, "gave up");
      await doors.clock.sleep(
        backoffMs(attempt, retryMsMin, retryMsMax, () => doors.random.next()),
        signals.stop,
        signals.kill,
      );
      board.clear(component, fault.code, "gave up");
    }
    this.#over = "done";
  }

  async #runOnce(signals: Signals): Promise<Fault | undefined> {
    try {
      if (this.#source === undefined) await this.open();
      await this.#source?.run(this.#emit, signals);
      return undefined;
    } catch (cause) {
      if (cause instanceof Fault) return cause;
      throw cause;
    } finally {
      const source = this.#source;
      this.#source = undefined;
      await source?.[Symbol.asyncDispose]();
    }
  }

  readonly #emit: Emit = async (chunk: Chunk) => {
    const { spool, meter } = this.#options;
    let records = 0;
    await spool.append(
      (frames) => {
        records = this.#encoder.encode(chunk, frames).records;
      },
      this.name,
      chunk.position,
    );
    this.#records += records;
    this.#bytes += chunk.bytes.byteLength;
    if (records > 0) this.#lastReadMs = chunk.readMs;
    meter.source(this.name, records, chunk.bytes.byteLength);
  };

  /** Lets go of a source that was opened and never run. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source?.[Symbol.asyncDispose]();
    this.#source = undefined;
  }

  status(): FullSourceStatus {
    const { kind, board } = this.#options;
    const own = this.#source?.status() ?? { state: this.#over ?? ("waiting" as const) };
    return {
      type: kind.type,
      lag_bytes: 0,
      ...own,
      records: this.#records,
      bytes: this.#bytes,
      ...(this.#lastReadMs === undefined ? {} : { last_record_time: new Date(this.#lastReadMs).toISOString() }),
      faults: board.countOf(`sources.${this.name}`),
    };
  }
}
