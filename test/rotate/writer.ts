/**
 * The writer of the rotation harness, a process of its own:
 *
 *     bun writer.ts DIR LINES_PER_SECOND ROTATE_EVERY KEEP_SECONDS
 *
 * Writes LINES_PER_SECOND in total over the styles of style.ts, and rotates each every ROTATE_EVERY lines, more or less. Takes orders on
 * standard input, a JSON object a line, and answers some of them with one on standard output:
 *
 *     {"seen": {"delete": N, …}}    the highest line number that has arrived, by style
 *     {"hold": true|false}          whether styles that take lines away rotate; answered
 *     {"end": true}                 ends; answered
 *
 * The answer, a `Written`, says what was written by then. Notes every rotation in DIR/../rotations.log.
 */
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { Log, styles } from "./style.ts";

export interface Written {
  readonly lines: Readonly<Record<string, number>>;
  readonly rotations: Readonly<Record<string, number>>;
  /** By style: so many of its lines lie in files that no name leads to any more. */
  readonly gone: Readonly<Record<string, number>>;
  readonly bytes: number;
}

export interface Order {
  readonly seen?: Readonly<Record<string, number>>;
  readonly hold?: boolean;
  readonly end?: boolean;
}

const tickMs = 20;
/** A writer that was kept from writing catches up, but not in one write. */
const perTickMax = 2000;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const [dir = ".", rate = "1000", every = "1000", keepSeconds = "60"] = process.argv.slice(2);
  const logs = styles.map((style) => new Log(style, dir, Number(keepSeconds) * 1000));
  const limits = new Map(logs.map((log) => [log, next(Number(every))]));
  const perSecond = Number(rate) / logs.length;
  let [bytes, held, ended] = [0, true, false];
  let seen: Readonly<Record<string, number>> = {};
  const answer = (): void => {
    const by = (of: (log: Log) => number): Record<string, number> => Object.fromEntries(logs.map((log) => [log.style.name, of(log)]));
    const written: Written = { lines: by((log) => log.lines), rotations: by((log) => log.rotations), gone: by((log) => log.gone), bytes };
    console.log(JSON.stringify(written));
  };
  void orders((order) => {
    seen = order.seen ?? seen;
    held = order.hold ?? held;
    ended ||= order.end === true;
    if (order.hold !== undefined) answer();
  }).then(() => (ended = true));
  const start = performance.now();
  while (!ended) {
    const due = ((performance.now() - start) * perSecond) / 1000;
    for (const log of logs) {
      bytes += log.write(Math.max(0, Math.min(perTickMax, Math.round(due - log.lines))));
      if (log.since < (limits.get(log) ?? 0)) continue;
      // Once a line of this very file has arrived, the collector has it open: it may lose its name with lines still unread.
      if (log.style.takes && (held || (seen[log.style.name] ?? -1) < log.first)) continue;
      bytes += log.rotate();
      limits.set(log, next(Number(every)));
      appendFileSync(join(dir, "..", "rotations.log"), `${new Date().toISOString()} ${log.style.name} n=${log.first}\n`);
    }
    await Bun.sleep(tickMs);
  }
  answer();
  process.exit(0);
}

/** From half to one and a half times as many. */
function next(every: number): number {
  return Math.round(every * (0.5 + Math.random()));
}

async function orders(take: (order: Order) => void): Promise<void> {
  for await (const line of console) if (line !== "") take(JSON.parse(line) as Order);
}
