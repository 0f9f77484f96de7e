/**
 * Other collectors (peers.ts) and logferry in turn: the same file from its start, through a spool on disk, to the same receiver,
 * which decodes and ticks off each line of either. Ratios are per round; what a peer lost or sent again is counted and shown.
 */
import { join } from "node:path";
import { corpusFile, gigabyte, inScratch, median, Receiver, type CorpusFile, type Plan } from "./bench.ts";
import { toHttp } from "./catchup.ts";
import { kinds, type KindName } from "./corpus/kind.ts";
import type { Verdict } from "./corpus/tally.ts";
import { findPeers, type Peer } from "./peers.ts";
import { cpuSeconds, lasting, statusBytes } from "./process.ts";

export const peerKinds: readonly KindName[] = ["access", "json", "syslog"];

/** Medians over the rounds; seconds are per GB of input. The first row of a kind is logferry's own. */
export interface Against {
  readonly kind: KindName;
  readonly peer: string;
  readonly cpu_s_per_gb: number;
  readonly wall_s_per_gb: number;
  readonly rss_peak_mb: number;
  /** Theirs divided by ours. */
  readonly cpu_ratio: number;
  readonly wall_ratio: number;
  /** The most that any round lost or repeated. */
  readonly missing: number;
  readonly repeated: number;
  readonly lacks: string;
}

interface Run {
  readonly cpu: number;
  readonly wall: number;
  readonly rss: number;
  readonly verdict: Verdict;
}

const none: Verdict = { lines: 0, missing: 0, repeated: 0, foreign: 0 };
/** A peer that has sent nothing for so long sends nothing more. */
const quietMsMax = 20_000;

/** Empty when there is no peer on this machine. */
export async function against(plan: Plan, kind: KindName): Promise<Against[]> {
  const peers = findPeers();
  if (peers.length === 0) {
    plan.note("no other collector here: name one in FLUENT_BIT or VECTOR, or install syslog-ng (Debian: syslog-ng-core and syslog-ng-mod-http)");
    return [];
  }
  const corpus = corpusFile(plan, kind);
  const rounds: Run[][] = [];
  await using receiver = await Receiver.start(kinds[kind].marker);
  for (let round = 1; round <= plan.runs; round++) {
    plan.note(`beside ${peers.map((peer) => peer.name).join(", ")}: ${kind}, round ${round} of ${plan.runs}`);
    const { cost } = await toHttp(plan, corpus, receiver);
    const runs: Run[] = [{ cpu: cost.cpuSeconds, wall: cost.wallSeconds, rss: cost.rssPeakBytes, verdict: none }];
    for (const peer of peers) runs.push(await runPeer(plan, peer, corpus, receiver));
    rounds.push(runs);
  }
  const lacks = ["", ...peers.map((peer) => peer.lacks)];
  return ["logferry", ...peers.map((peer) => peer.name)].map((name, index) => summary(kind, name, lacks[index] ?? "", corpus.bytes, rounds, index));
}

/** Until every line has come, or none comes any more. */
function runPeer(plan: Plan, peer: Peer, corpus: CorpusFile, receiver: Receiver): Promise<Run> {
  return inScratch(plan, async (folder) => {
    await receiver.reset();
    const began = performance.now();
    await using child = lasting(peer.command(folder, corpus.path, `${receiver.url}/ingest`), join(folder, "log"));
    let [verdict, come, wall] = [none, 0, 0];
    let [cpu, rss] = [0, 0];
    for (let lastMs = began; !child.over();) {
      await Bun.sleep(50);
      const now = performance.now();
      [cpu, rss] = [cpuSeconds(child.pid), Math.max(rss, statusBytes(child.pid, "VmHWM"))];
      verdict = (await receiver.count(corpus.lines)).tally ?? none;
      if (verdict.lines > come) [come, lastMs, wall] = [verdict.lines, now, now - began];
      if (verdict.missing === 0 || now - lastMs > quietMsMax) break;
    }
    if (child.over()) throw new Error(`${peer.name} ended by itself:\n${child.tail()}`);
    return { cpu, wall: wall / 1000, rss, verdict };
  });
}

function summary(kind: KindName, peer: string, lacks: string, bytes: number, rounds: readonly Run[][], index: number): Against {
  const own = rounds.map((runs) => runs[0] as Run);
  const runs = rounds.map((all) => all[index] as Run);
  const ratio = (of: (run: Run) => number): number => median(runs.map((run, round) => of(run) / of(own[round] as Run)));
  return {
    kind,
    peer,
    cpu_s_per_gb: median(runs.map((run) => run.cpu)) / (bytes / gigabyte),
    wall_s_per_gb: median(runs.map((run) => run.wall)) / (bytes / gigabyte),
    rss_peak_mb: Math.max(...runs.map((run) => run.rss)) / 1e6,
    cpu_ratio: ratio((run) => run.cpu),
    wall_ratio: ratio((run) => run.wall),
    missing: Math.max(...runs.map((run) => run.verdict.missing)),
    repeated: Math.max(...runs.map((run) => run.verdict.repeated)),
    lacks,
  };
}
