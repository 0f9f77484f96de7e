/**
 * What health says of what sweeps find: minutes that stay short, times that no page holds, metadata that does not come apart.
 * A difference counts as lasting only when a later look, after everything was read again, still finds it.
 */
import type { Board } from "../../core/board.ts";
import { Fault } from "../../core/fault.ts";
import type { Stretch } from "./audit.ts";
import { type Losses, minuteText } from "./loss.ts";
import type { Asides } from "./query.ts";
import { bucketAt, formatNs, minuteOf } from "./time.ts";

/** From one late sweep to the next but one, whatever gaps made it sweep between. */
const lastingMs = 5 * 60_000;
/** Crowded minutes that are remembered: a day of them. */
const crowdsMax = 1440;

export class Verdicts implements Asides {
  readonly #board: Board;
  readonly #component: string;
  readonly #losses: Losses;
  /** Since when a minute has more at the server than here, on the monotonic clock. */
  readonly #missing = new Map<number, number>();
  /** By minute: a time of it that no page holds, and in which streams. */
  readonly #crowds = new Map<number, { ns: bigint; streams: Set<string> }>();
  #differs = false;
  #apart = true;

  constructor(board: Board, component: string, losses: Losses) {
    this.#board = board;
    this.#component = component;
    this.#losses = losses;
  }

  /** Minutes of which the server counts more than it gave. */
  judge(missing: readonly Stretch[], nowMs: number): void {
    const buckets = new Set(missing.map(({ bucket }) => bucket));
    for (const bucket of this.#missing.keys()) if (!buckets.has(bucket)) this.#missing.delete(bucket);
    for (const bucket of buckets) if (!this.#missing.has(bucket)) this.#missing.set(bucket, nowMs);
    this.#show(missing.filter(({ bucket }) => nowMs - (this.#missing.get(bucket) ?? nowMs) >= lastingMs));
  }

  /** A tail may have brought what no page shows: how much is lost, if anything, counts tell afterwards. */
  crowded(ns: bigint, stream: string): void {
    const bucket = minuteOf(bucketAt(ns));
    const crowd = this.#crowds.get(bucket) ?? { ns, streams: new Set<string>() };
    crowd.streams.add(stream);
    this.#crowds.set(bucket, crowd);
    if (this.#crowds.size > crowdsMax) this.#crowds.delete(this.#crowds.keys().next().value ?? 0);
  }

  /** Declares what is missing in crowded minutes; `whose` tells the streams, one after the other. */
  async declare(missing: readonly Stretch[], whose: (minute: number, more: number) => Promise<[string, number][]>): Promise<void> {
    for (const { bucket, server, held } of missing) {
      const crowd = this.#crowds.get(bucket);
      const more = server - held - this.#losses.sumAt(bucket, "loki_time_crowded");
      if (crowd === undefined || more <= 0) continue;
      const [only] = crowd.streams;
      const rows: [string, number][] = crowd.streams.size === 1 && only !== undefined ? [[only, more]] : await whose(bucket, more);
      for (const [stream, entries] of rows) this.#losses.add(crowdedFault(crowd.ns, stream), bucket, stream, entries);
    }
  }

  /** Where nothing can be counted: at least one in each stream that was crowded. */
  declareUncounted(): void {
    for (const [bucket, { ns, streams }] of this.#crowds)
      for (const stream of streams)
        if (this.#losses.sumAt(bucket, "loki_time_crowded", stream) === 0) this.#losses.add(crowdedFault(ns, stream), bucket, stream, 1);
  }

  flagged(apart: boolean): void {
    if (apart === this.#apart) return;
    this.#apart = apart;
    if (apart) return this.#board.clear(this.#component, "loki_flags_missing", "sweep");
    const hint = "let the header X-Loki-Response-Encoding-Flags through to Loki (2.9 or newer); until then metadata stands among the labels";
    const message = "query_range does not tell structured metadata from labels";
    this.#board.raise(this.#component, "degraded", new Fault({ code: "loki_flags_missing", retry: "later", message, hint }), "sweep");
  }

  #show(lasting: readonly Stretch[]): void {
    const [first] = lasting;
    if (first === undefined && this.#differs) this.#board.clear(this.#component, "loki_counts_differ");
    this.#differs = first !== undefined;
    if (first === undefined) return;
    const entries = lasting.reduce((sum, { server, held }) => sum + server - held, 0);
    const message = `the server counts ${entries} entries that it does not give, the first in the minute of ${minuteText(first.bucket)}`;
    const hint = "compare the two for that minute in /status; a query that changes lines or labels may make entries alike";
    this.#board.raise(this.#component, "degraded", new Fault({ code: "loki_counts_differ", retry: "later", message, hint }));
  }
}

function crowdedFault(ns: bigint, stream: string): Fault {
  const time = formatNs(Number(ns / 1_000_000_000n), Number(ns % 1_000_000_000n));
  const hint = "raise max_entries_limit_per_query in Loki, or let the writer give finer times";
  const message = `more entries at ${time} than any page holds, in the stream ${stream}`;
  return new Fault({ code: "loki_time_crowded", retry: "never", message, hint });
}
