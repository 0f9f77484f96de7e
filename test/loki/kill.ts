/**
 * The executable and a Loki that loses, cuts and repeats (or with `LOKI_BIN` a real one), on the wall clock: killed again and again
 * while lines are pushed, then left to finish. Into Hive partitions in a folder.
 */
import type { Running } from "../support/logferry.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { startLoki } from "../support/loki/under.ts";
import type { PushedStream } from "../support/loki/store.ts";
import { readLake } from "../support/lake.ts";
import type { Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

export interface KillRun {
  /** Entries that Loki took, records in the folder, and different ones of these. */
  readonly pushed: number;
  readonly records: number;
  readonly distinct: number;
}

export interface KillOptions {
  /** Lives before the last, each ended by SIGKILL after so long. */
  readonly lives: number;
  readonly lifeMs: number;
  /** Entries of a second. */
  readonly rate: number;
}

const pods = 10;
const tickMs = 50;

export async function killRun(dir: Scratch, { lives, lifeMs, rate }: KillOptions): Promise<KillRun> {
  await using loki = await startLoki({ entries: 500, tailMs: 20_000, tickMs: 50 });
  if (loki.fake !== undefined) Object.assign(loki.fake.faults, { silent: 0.1, reported: 0.01, replicas: 0.1, broken: 0.05, cut: 0.05 });
  const config = await writeConfig(dir.path, {
    sources: { web: { type: "loki", url: loki.url, query: '{app="web"}', tenant: "t1", start: "1h", settle: "1s", sweep_interval: "500ms" } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), partition: "pod={labels.pod}/date=%Y-%m-%d", batch: { age_max: "200ms" } } },
  });
  let pushed = 0;
  let over = false;
  const pushing = (async () => {
    while (!over) {
      const streams = pushOf(pushed, Math.ceil((rate * tickMs) / 1000 / pods));
      const { status } = await loki.push(streams);
      // The fake answers 500 before it takes anything: the same numbers go once more.
      if (status === 204) pushed += streams.reduce((sum, { values }) => sum + values.length, 0);
      else if (loki.fake === undefined || status !== 500) throw new Error(`push: answered ${status}`);
      await Bun.sleep(tickMs);
    }
  })();
  const socket = dir.join("control.sock");
  for (let life = 0; life < lives; life++) {
    await using running = startLogferry(config, socket);
    await running.ready();
    await Promise.race([Bun.sleep(lifeMs), pushing]);
    await running.stop("SIGKILL");
  }
  over = true;
  await pushing;
  await using last = startLogferry(config, socket);
  await last.ready();
  await until(() => isThrough(last, dir.join("lake"), pushed), "all has arrived", 120_000);
  const code = await last.stop();
  if (code !== 0) throw new Error(`it ended with ${code}`);
  const messages = (await readLake(dir.join("lake"))).map(({ message = "" }) => message);
  return { pushed, records: messages.length, distinct: new Set(messages).size };
}

function pushOf(from: number, each: number): PushedStream[] {
  const nowMs = Date.now();
  return Array.from({ length: pods }, (_, pod) => ({
    stream: { app: "web", pod: String(pod) },
    values: Array.from({ length: each }, (__, n) => [`${nowMs}${String(n).padStart(6, "0")}`, `n=${from + pod * each + n} of many`] as const),
  }));
}

async function isThrough(running: Running, lake: string, pushed: number): Promise<boolean> {
  const { sources, sinks } = await running.status();
  const completeTo = Date.parse(sources["web"]?.complete_to ?? "1970-01-01T00:00:00Z");
  const all = completeTo > Date.now() - 30_000 && sources["web"]?.tail === "up" && sinks["lake"]?.lag_records === 0;
  return all && (await readLake(lake)).length >= pushed;
}
