/**
 * One source as the agent runs it: opened, joined to its encoder and the spool, and opened again after a fault.
 *
 * A source that fails is shown as failing and tried again with backoff, from the positions that were committed; the others
 * go on. What can never work (`never`) is given up and said.
 */
import type { Board } from "../core/board.ts";
import type { Chunk, Emit, Source, SourceContext, SourceKind, SpoolWriter, StreamFields } from "../core/contract.ts";
import type { Doors } from "../core/doors.ts";
import type { LineKeys } from "../core/format.ts";
import { excerpt, Fault } from "../core/fault.ts";
import type { Meter } from "../core/meter.ts";
import { backoffMs } from "../core/retry.ts";
import type { Signals } from "../core/signals.ts";
import type { FullSourceStatus } from "../core/view.ts";
import { Backlog } from "./backlog.ts";
import { createEncoder, type Encoded, type Encoder } from "../pipeline/encoder.ts";

/** What an encoder had to mend: counted by code, since the records are there, but not as they came. */
const oddities: readonly {
  count: "invalidUtf8" | "nulRuns" | "truncated" | "keptAsText" | "timeRejected" | "mismatched" | "timeUnread" | "split";
  code: string;
  message: string;
  hint: string;
}[] = [
  {
    count: "invalidUtf8",
    code: "record_not_utf8",
    message: "records held bytes that are not UTF-8, or not in the encoding of their source",
    hint: "each became U+FFFD; let the writer log UTF-8, or say its `encoding`",
  },
  {
    count: "nulRuns",
    code: "record_nuls_skipped",
    message: "NUL bytes before a line were left out",
    hint: "a writer kept its place when its file was truncated: let it open the file for appending",
  },
  {
    count: "truncated",
    code: "record_truncated",
    message: "records were cut at line_bytes_max",
    hint: "raise line_bytes_max if the rest of such lines matters",
  },
  {
    count: "keptAsText",
    code: "record_kept_as_text",
    message: "JSON objects were kept as text in `message`",
    hint: "some reader would stumble over them: a key twice, a lone surrogate, more than 64 levels or a number that is not finite",
  },
  {
    count: "timeRejected",
    code: "record_time_rejected",
    message: "records say a time ten years back or a day ahead",
    hint: "they lie in the partition of the time they were read; check the sender's clock",
  },
  {
    count: "mismatched",
    code: "record_not_in_format",
    message: "lines are not in the format of their source",
    hint: "they were kept as text in `message`; check `format`, or give such files a source of their own",
  },
  {
    count: "timeUnread",
    code: "record_time_unread",
    message: "records hold no time that `timestamp` can read",
    hint: "they have the time at which they were read; hold a line against `timestamp`",
  },
  {
    count: "split",
    code: "record_event_split",
    message: "events of several lines were longer than a bound",
    hint: "what was over is a record of its own; raise multiline.lines_max or bytes_max, or check the patterns",
  },
];

function countOddities(board: Board, component: string, encoded: Encoded, file: string | undefined): void {
  for (const { count, code, message, hint } of oddities) {
    const place = file === undefined ? "" : ` (${excerpt(file, 200)})`;
    const times = encoded[count] ?? 0;
    if (times > 0) board.count(component, new Fault({ code, retry: "never", message: `${message}${place}`, hint }), times);
  }
}

export interface SourceRunnerOptions {
  readonly kind: SourceKind;
  readonly config: unknown;
  readonly context: SourceContext;
  readonly fields: StreamFields;
  readonly spool: SpoolWriter & { dropped(source: string): { readonly records: number; readonly bytes: number } };
  readonly doors: Doors;
  readonly board: Board;
  readonly meter: Meter;
}

/** Keys of any source's configuration that its encoder obeys. */
interface EncoderKeys extends LineKeys {
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
  #lastMs: number | undefined;
  #over: "done" | "failed" | undefined;
  readonly #backlog = new Backlog();

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
      keys: config as EncoderKeys,
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

  /** What `status` says as `lag_bytes`, for whoever asks often. */
  get lagBytes(): number {
    return (this.#source?.lagBytes === undefined ? this.#source?.status(0).lag_bytes : this.#source.lagBytes()) ?? 0;
  }

  /** A look at its progress, about once a second; `atMs` is monotonic. Returns the lag. */
  look(atMs: number): number {
    const lag = this.lagBytes;
    this.#backlog.look(lag, this.#bytes, atMs);
    return lag;
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
    const { spool, meter, board } = this.#options;
    let encoded: Encoded | undefined;
    await spool.append(
      (frames) => {
        encoded = this.#encoder.encode(chunk, frames);
      },
      this.name,
      chunk.flow === undefined ? chunk.position : () => encoded?.position,
    );
    const records = encoded?.records ?? 0;
    this.#records += records;
    this.#bytes += chunk.bytes.byteLength;
    this.#lastMs = encoded?.lastMs ?? this.#lastMs;
    meter.source(this.name, records, chunk.bytes.byteLength);
    // A line that the source itself has cut, it has counted itself.
    const odd = encoded === undefined || chunk.truncated !== true ? encoded : { ...encoded, truncated: 0 };
    if (odd !== undefined) countOddities(board, `sources.${this.name}`, odd, chunk.file);
  };

  /** Lets go of a source that was opened and never run. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source?.[Symbol.asyncDispose]();
    this.#source = undefined;
  }

  status(filesMax?: number): FullSourceStatus {
    const { kind, board, spool } = this.#options;
    const dropped = spool.dropped(this.name);
    const own = this.#source?.status(filesMax) ?? { state: this.#over ?? ("waiting" as const) };
    const backlog = this.#backlog.status(own.lag_bytes ?? 0);
    return {
      type: kind.type,
      lag_bytes: 0,
      ...own,
      ...(backlog === undefined ? {} : { backlog }),
      records: this.#records,
      bytes: this.#bytes,
      ...(this.#lastMs === undefined ? {} : { last_record_time: new Date(this.#lastMs).toISOString() }),
      faults: board.countOf(`sources.${this.name}`),
      dropped_records: dropped.records,
      dropped_bytes: dropped.bytes,
    };
  }
}
