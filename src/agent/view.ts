/** What the control API sees of the running agent: one look at all counters, and health drawn from them. */
import type { Board } from "../core/board.ts";
import type { Clock } from "../core/clock.ts";
import { computeHealth, ProgressWatch } from "../core/health.ts";
import type { Meter } from "../core/meter.ts";
import type { Health, Status, View } from "../core/view.ts";
import { version } from "../core/version.ts";
import type { SinkRunner } from "../sink/deliver.ts";
import type { Spool } from "../spool/spool.ts";
import { Engine } from "./engine.ts";
import type { SourceRunner } from "./source.ts";

export interface ViewParts {
  readonly host: string;
  readonly spool: Spool;
  readonly sources: readonly SourceRunner[];
  readonly sinks: ReadonlyMap<string, { readonly runner: SinkRunner; readonly holdsMs: number; readonly required: boolean }>;
  readonly board: Board;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly stalledAfterMs: number;
}

/** How often progress is looked at: fine enough for a bound of seconds, and nothing beside the work itself. */
const lookMs = 1000;

export class AgentView implements View {
  readonly meter: Meter;
  readonly #parts: ViewParts;
  readonly #watch = new ProgressWatch();
  readonly #engine: Engine;
  readonly #startedMs: number;
  /** All sources have been started. */
  started = false;

  constructor(parts: ViewParts) {
    this.#parts = parts;
    this.meter = parts.meter;
    this.#startedMs = parts.clock.monotonic();
    this.#engine = new Engine(this.#startedMs);
  }

  /** Watches for lag without progress until `signal`. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#look();
      await this.#parts.clock.sleep(lookMs, signal);
    }
  }

  status(filesMax?: number): Status {
    const { host, spool, sources, sinks, board, clock } = this.#parts;
    return {
      version,
      host,
      spool_id: spool.reader.id,
      uptime_s: Math.floor((clock.monotonic() - this.#startedMs) / 1000),
      state: this.health().state,
      sources: Object.fromEntries(sources.map((source) => [source.name, source.status(filesMax)])),
      spool: spool.status(),
      sinks: Object.fromEntries([...sinks].map(([name, { runner }]) => [name, runner.status()])),
      faults: board.counts(),
    };
  }

  health(): Health {
    const { board, clock, stalledAfterMs } = this.#parts;
    return computeHealth(board.reasons(), this.#watch.components(), { monotonicMs: clock.monotonic(), wallMs: clock.now() }, stalledAfterMs);
  }

  /** Not before every source has had its first look: until then its lag says nothing. */
  ready(): boolean {
    const { sources, spool } = this.#parts;
    return this.started && spool.accepting() && sources.every((source) => source.status(0).state !== "starting");
  }

  flush(): void {
    for (const { runner } of this.#parts.sinks.values()) runner.flush();
  }

  #look(): void {
    const { sources, sinks, clock } = this.#parts;
    const now = clock.monotonic();
    let moved = 0;
    for (const source of sources) {
      this.#watch.look(`sources.${source.name}`, source.look(now), source.bytes, now);
      moved += source.bytes;
    }
    for (const [name, { runner, holdsMs, required }] of sinks) {
      // Records, and not `delivered_sequence`: one lane that is held keeps that still while others deliver.
      const { lag_bytes, records, bytes } = runner.status();
      this.#watch.look(`sinks.${name}`, lag_bytes, records, now, holdsMs, required ? "failing" : "degraded");
      moved += bytes;
    }
    this.#engine.look(moved, now);
  }
}
