/**
 * The `loki` source: everything a log query selects, once, as fast as the tail brings it and as complete as `query_range` is.
 *
 * Loki's tail loses lines by construction, so it only gives speed; sweeps (sweeper.ts) give completeness within `lateness`. Records
 * have the entry's own time to the nanosecond, the stream's labels, and its structured metadata apart. What the tail brings is
 * emitted at once, as it comes; what a sweep brings is ordered by time.
 *
 * A kill loses nothing and repeats nothing: the watermark and the keys of what was emitted are committed with it (seen.ts).
 * While the spool takes nothing there is no tail, the watermark stays, and what came meanwhile is fetched afterwards.
 */
import type { Emit, Json, Source, SourceContext, SourceKind, SourceStatus } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { check } from "./check.ts";
import { Client } from "./client.ts";
import { schema, type LokiConfig } from "./config.ts";
import { Decoder } from "./entry.ts";
import { Flow } from "./flow.ts";
import { Seen } from "./seen.ts";
import { Sweeper } from "./sweeper.ts";
import { Tailer } from "./tailer.ts";
import { bucketSeconds, formatNs } from "./time.ts";

export const loki: SourceKind<LokiConfig> = {
  type: "loki",
  schema,
  open: (config, context) => Promise.resolve(new LokiSource(config, context)),
  check,
};

/** After an emit that was rejected. */
const againMs = 1000;

class LokiSource implements Source {
  readonly #config: LokiConfig;
  readonly #context: SourceContext;
  readonly #client: Client;
  readonly #decoder: Decoder;
  #state: SourceStatus["state"] = "starting";
  #sweeper: Sweeper | undefined;
  #tailer: Tailer | undefined;

  constructor(config: LokiConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    this.#client = new Client(config, context.doors);
    this.#decoder = new Decoder(context.host, context.name, config.labels);
  }

  async run(emit: Emit, signals: Signals): Promise<void> {
    const { board, doors, name } = this.#context;
    let durable = new Map<string, Json>(this.#context.positions);
    try {
      for (;;) {
        const flow = await this.#session(emit, signals, durable);
        const { broken } = flow;
        if (broken === undefined || (broken instanceof Fault && broken.code === "spool_closed")) break;
        if (!(broken instanceof Fault) || broken.retry === "never") throw broken;
        // What was rejected is read again, from what is durable.
        board.count(`sources.${name}`, broken);
        durable = flow.durable;
        await doors.clock.sleep(againMs, signals.stop, signals.kill);
        if (signals.stop.aborted || signals.kill.aborted) break;
      }
      this.#state = "done";
    } finally {
      if (this.#state !== "done") this.#state = "failed";
      board.clear(`sources.${name}`);
    }
  }

  /** Reads until `stop`, or until the flow breaks. Returns when nothing is in flight. */
  async #session(emit: Emit, signals: Signals, durable: Map<string, Json>): Promise<Flow> {
    const { doors, directory } = this.#context;
    const seen = await Seen.open({ disk: doors.disk, directory, positions: durable, damaged: (path) => this.#damaged(path) });
    const flow = new Flow(this.#context, this.#decoder, emit, seen, durable);
    const cut = new AbortController();
    const give = (): void => cut.abort();
    for (const signal of [signals.stop, signals.kill, flow.cut.signal]) signal.addEventListener("abort", give, { once: true });
    if (signals.stop.aborted) cut.abort();
    const parts = { config: this.#config, context: this.#context, client: this.#client, decoder: this.#decoder, flow, kill: cut.signal };
    const sweeper = new Sweeper(parts);
    this.#sweeper = sweeper;
    const inner = { stop: signals.stop, kill: cut.signal };
    const running = [sweeper.run(inner)];
    if (this.#config.mode === "tail" && !this.#context.once) {
      this.#tailer = new Tailer({ ...parts, sweeper });
      running.push(this.#tailer.run(inner));
    }
    for (const one of running) one.catch((cause: unknown) => flow.fail(cause));
    await orAborted(Promise.allSettled(running), signals.kill);
    for (const signal of [signals.stop, signals.kill, flow.cut.signal]) signal.removeEventListener("abort", give);
    await flow.settled(signals.kill);
    return flow;
  }

  status(): SourceStatus {
    const sweeper = this.#sweeper;
    const running = this.#state === "starting" && sweeper !== undefined ? (sweeper.swept ? "running" : "waiting") : this.#state;
    const completeTo = sweeper?.watermark ?? 0n;
    return {
      state: running,
      ...(completeTo === 0n ? {} : { complete_to: formatNs(Number(completeTo / 1_000_000_000n), Number(completeTo % 1_000_000_000n)) }),
      tail: this.#config.mode === "poll" || this.#context.once ? "off" : this.#tailer?.live === true ? "up" : "down",
      lost_entries: sweeper?.losses.entries ?? 0,
      losses: sweeper?.losses.listed.map((loss) => ({ ...loss })) ?? [],
      requests: this.#client.requests,
      audit: sweeper?.counted === false ? "off" : "counts",
      minutes: (sweeper?.minutes ?? []).map(({ bucket, server, held }) => ({ minute: formatNs(bucket * bucketSeconds, 0), server, held })),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #damaged(path: string): void {
    const hint = "entries of the last hour may come twice once; look after the disk of the spool";
    const fault = new Fault({ code: "loki_keys_damaged", retry: "never", message: `read ${path}: it is not what was written`, hint });
    this.#context.board.count(`sources.${this.#context.name}`, fault);
  }
}
