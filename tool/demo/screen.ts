/** What the demo shows: one redrawn line on a terminal, a line every two seconds elsewhere. Colour only on a terminal, never with NO_COLOR. */
import { relative } from "node:path";
import { edge, central, home, logs, type Ports } from "./layout.ts";

const terminal = process.stdout.isTTY;
const colour = terminal && (process.env["NO_COLOR"] ?? "") === "";
const paint = (code: number, text: string): string => (colour ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = (text: string): string => paint(1, text);
export const dim = (text: string): string => paint(2, text);
export const green = (text: string): string => paint(32, text);
export const red = (text: string): string => paint(31, text);

/** `1,234,567`. */
export const grouped = (count: number): string => count.toLocaleString("en-US");

/** A path as somebody would type it here. */
export const short = (path: string): string => relative(process.cwd(), path) || ".";

export interface Moment {
  readonly seconds: number;
  readonly written: number;
  readonly durable: number;
  readonly toFolder: number;
  readonly atCentral: number;
}

const plainMs = 2000;
let shownMs = -Infinity;

export function show(moment: Moment): void {
  if (!terminal && performance.now() - shownMs < plainMs) return;
  shownMs = performance.now();
  const part = (name: string, count: number): string => `${dim(name)} ${grouped(count).padStart(9)}`;
  const parts = [
    part("written", moment.written),
    part("durable", moment.durable),
    part("in the folder", moment.toFolder),
    part("at the central", moment.atCentral),
  ];
  const line = `${String(Math.floor(moment.seconds)).padStart(4)} s   ${parts.join("   ")}`;
  process.stdout.write(terminal ? `\r\x1b[K${line}` : `${line}\n`);
}

/** Prints below the progress line. */
export function say(text = ""): void {
  process.stdout.write(`${terminal && shownMs > -Infinity ? "\n" : ""}${text}\n`);
  shownMs = -Infinity;
}

export function introduce(ports: Ports, seconds: number): void {
  const until = seconds === 0 ? "until Ctrl-C" : `${seconds} seconds`;
  say(`
${bold("logferry demo")} ${dim(`· ${until} · everything lies in`)} ${short(home)}

  log files           three programs write and rotate ${short(logs)}/*/
     │
  ${bold("edge")}                tails them, compresses once, syncs to its spool
     ├─▶ folder       ${short(edge.lake)}
     └─▶ HTTP ─▶ ${bold("central")} ─▶ folder   ${short(central.lake)}

  status pages        edge http://127.0.0.1:${ports.edge}/   central http://127.0.0.1:${ports.central}/
  configurations      ${short(edge.config)}   ${short(central.config)}
  their logs          ${short(edge.log)}   ${short(central.log)}
`);
}

export function explainReading(): void {
  const glob = `${short(central.lake)}/**/*.ndjson.zst`;
  say(`
  read them           find ${short(edge.lake)} -name '*.zst' | sort | xargs zstdcat | head -n 3
  as a table          duckdb -c "select source, count(*), min(timestamp), max(timestamp) from read_json_auto('${glob}', hive_partitioning = true) group by source"
  remove all          rm -r ${short(home)}`);
}
