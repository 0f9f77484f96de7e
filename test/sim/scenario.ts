/** What a seed draws before anything happens: who writes, where it goes, how small the spool is, and what shall go wrong. */
import type { Codec } from "../../src/core/contract.ts";
import type { Seeded } from "./random.ts";
import type { Origin } from "./record.ts";

/** What a full spool may give up: nothing; its oldest (`drop_oldest`); what only a sink still needs that is not required, beyond its bound or once it is full. */
export type Policy = "block" | "drop" | "hold";

/** `rot`: bytes change at rest. `fork`: the spool is copied and both go on. `journal`: a sink's journal is lost. */
export type Trouble = "none" | "rot" | "fork" | "journal";

export interface SinkPlan {
  readonly name: "folder" | "ingest" | "store";
  readonly codec: Codec;
  readonly from: readonly string[] | undefined;
  readonly partition: string;
  readonly concurrency: number;
  /** The life it is configured from, and the lives in which it was taken out again. */
  readonly sinceLife: number;
  readonly pausedLives: ReadonlySet<number>;
}

export interface Scenario {
  readonly trouble: Trouble;
  readonly lives: number;
  readonly sources: readonly (Origin & { readonly total: number })[];
  /** What a frame says of its records: nothing, the source, all. */
  readonly detail: "none" | "from" | "all";
  readonly sinks: readonly SinkPlan[];
  readonly maxBytes: number;
  readonly segmentBytes: number;
  readonly minFreeBytes: number;
  /** Bytes of the disk, when it is in good health. */
  readonly diskBytes: number;
  readonly batchBytes: number;
  readonly intervalMs: number;
  readonly policy: Policy;
  /** With `hold`, the sinks that are not required, and the bytes each may hold. */
  readonly holds: ReadonlyMap<string, number>;
  /** From so many segments on there is a table of them. */
  readonly tableSegmentsMin: number;
  /** Rot comes as places that cannot be read any more. */
  readonly sectors: boolean;
}

const KiB = 1024;

/** `more` draws what came later, so that a seed's story before it stays as it was. */
export function draw(random: Seeded, more: Seeded): Scenario {
  const trouble = random.pick<Trouble>(["none", "none", "none", "none", "rot", "rot", "fork", "journal"]);
  const lives = 1 + random.below(6);
  const streams = random.chance(0.6) ? 1 : 1 + random.below(60);
  const giants = random.chance(0.05);
  const names = ["app", "db", "web", "auth", "cron", "mail"].slice(0, random.chance(0.5) ? 1 : 1 + random.below(6));
  const segmentBytes = (2 + random.below(30)) * KiB;
  return {
    trouble,
    lives,
    sources: names.map((source) => ({ host: "h", source, streams, giants, total: Math.floor((100 + random.below(900)) / names.length) })),
    detail: random.pick(["none", "from", "all"]),
    sinks: (["folder", "ingest", "store"] as const).map((name) => drawSink(random, name, names, lives, trouble)),
    segmentBytes,
    maxBytes: segmentBytes * (8 + random.below(20)),
    minFreeBytes: random.chance(0.7) ? 0 : random.below(60) * KiB,
    // The reserve and some more.
    diskBytes: 12 * KiB * KiB,
    batchBytes: (4 + random.below(40)) * KiB,
    intervalMs: random.pick([5, 50, 50, 250]),
    ...drawMore(more, trouble, segmentBytes),
  };
}

function drawMore(more: Seeded, trouble: Trouble, segmentBytes: number): Pick<Scenario, "policy" | "holds" | "tableSegmentsMin" | "sectors"> {
  const policy = trouble === "none" ? more.pick<Policy>(["block", "block", "block", "drop", "hold"]) : "block";
  const held = (["folder", "ingest", "store"] as const).filter(() => more.chance(0.5));
  const bound = (): number => (more.chance(0.5) ? Infinity : segmentBytes * (1 + more.below(6)));
  return {
    policy,
    holds: new Map(policy === "hold" ? (held.length === 0 ? ["ingest"] : held).map((name) => [name, bound()]) : []),
    tableSegmentsMin: more.chance(0.5) ? 2 + more.below(4) : 256,
    sectors: more.chance(0.25),
  };
}

function drawSink(random: Seeded, name: SinkPlan["name"], sources: readonly string[], lives: number, trouble: Trouble): SinkPlan {
  const changes = trouble === "none" && name !== "folder" && random.chance(0.3);
  const sinceLife = changes && random.chance(0.5) ? random.below(lives + 1) : 0;
  const out = (life: number): boolean => changes && life > sinceLife && random.chance(0.4);
  return {
    name,
    codec: random.pick<Codec>(["zstd", "zstd", "zstd", "gzip", "none"]),
    from: sources.length > 1 && random.chance(0.3) ? [random.pick(sources)] : undefined,
    partition: random.pick(["date=%Y-%m-%d/hour=%H", "hour=%H", "source={source}/hour=%H", "s={labels.s}/date=%Y-%m-%d"]),
    concurrency: 1 + random.below(4),
    sinceLife,
    pausedLives: new Set(Array.from({ length: lives }, (_, life) => life).filter(out)),
  };
}
