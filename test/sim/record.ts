/** The records of the simulation: each is known by who wrote it and its number, and its bytes follow from that. */
import { Seeded } from "./random.ts";

/** Who wrote it. */
export interface Origin {
  readonly host: string;
  readonly source: string;
  /** Label sets its records go round. */
  readonly streams: number;
  /** Now and then one that is larger than a frame. */
  readonly giants: boolean;
}

/** Text that does not compress, so that bytes in segments are bytes of records. */
const noise = Buffer.from(new Seeded(1).bytes(48 * 1024)).toString("base64");
/** Larger than a frame of 1 MiB, and hardly anything once compressed: the simulated disks are small. */
const giant = "x".repeat(1_100_000);
const giantEvery = 389;

export function streamOf(origin: Origin, n: number): string {
  return String((n * 7) % origin.streams);
}

/** Record `n` of its origin, without a line end. */
export function recordOf(origin: Origin, n: number): string {
  const { host, source } = origin;
  const at = (n * 7919) % 60_000;
  const message = origin.giants && n % giantEvery === giantEvery - 1 ? giant : noise.slice(at, at + ((n * 37) % 400));
  return JSON.stringify({ timestamp: "2023-11-14T22:13:20.000000Z", host, source, labels: { s: streamOf(origin, n) }, n, message });
}

/** `host/source/n`, with which the model speaks of a record. */
export function keyOf(origin: Pick<Origin, "host" | "source">, n: number): string {
  return `${origin.host}/${origin.source}/${n}`;
}

/** The key of a line that arrived; undefined when it is no record at all. */
export function parseKey(line: string): { host: string; source: string; n: number } | undefined {
  const fields = /^\{"timestamp":"[^"]*","host":"([^"]*)","source":"([^"]*)","labels":\{"s":"\d+"\},"n":(\d+),/.exec(line);
  const [, host, source, n] = fields ?? [];
  return host === undefined || source === undefined || n === undefined ? undefined : { host, source, n: Number(n) };
}
