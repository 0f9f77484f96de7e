/**
 * `npm run rotate -- --minutes N --rate LINES_PER_SECOND`: rotates logs in six ways while the collector is killed every `--kill`
 * seconds, and counts every line (test/rotate/harness.ts). `--executable PATH` runs that one instead of building; `--dir` keeps what is left.
 * `--peer NAME` runs another collector instead (test/rotate/peers.ts), `--live` leaves the rotated names out of the globs.
 *
 * Prints one honest line, then each style; exit 1 when anything was lost, came twice, or the collector ended by itself.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureExecutable } from "../build.ts";
import { logferryCollector } from "../test/rotate/collector.ts";
import { rotate, summary } from "../test/rotate/harness.ts";
import { findPeers } from "../test/rotate/peers.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "2" },
    rate: { type: "string", default: "20000" },
    every: { type: "string", default: "20000" },
    kill: { type: "string", default: "30" },
    keep: { type: "string", default: "90" },
    executable: { type: "string" },
    dir: { type: "string" },
    peer: { type: "string" },
    live: { type: "boolean", default: false },
  },
});
const seconds = Number(values.minutes) * 60;
const [rate, every, kill, keep] = [values.rate, values.every, values.kill, values.keep].map(Number) as [number, number, number, number];
if (![seconds, rate, every, kill, keep].every((each) => each > 0)) {
  console.error("rotate: --minutes, --rate (lines a second), --every (lines to a rotation), --kill and --keep (seconds) are numbers above 0");
  process.exit(2);
}
const peer = findPeers().find(({ name }) => name === values.peer);
if (values.peer !== undefined && peer === undefined) {
  console.error(
    `rotate: ${values.peer} is not here; there is ${
      findPeers()
        .map(({ name }) => name)
        .join(", ") || "no other collector"
    }`,
  );
  process.exit(2);
}
const dir = values.dir ?? (await mkdtemp(join(tmpdir(), "logferry-rotate-")));
const result = await rotate({
  dir,
  collector: async (setup) => peer?.open(setup) ?? logferryCollector(values.executable ?? (await ensureExecutable()).path, setup),
  names: values.live ? "live" : peer === undefined ? "all" : "plain",
  seconds,
  linesPerSecond: rate,
  rotateEvery: every,
  killSeconds: kill,
  keepSeconds: keep,
  discover: "1s",
  quietSeconds: 30,
  onProgress: (words) => process.stderr.write(process.stderr.isTTY ? `\r${words}` : `${words}\n`),
});
if (process.stderr.isTTY) process.stderr.write("\r");
const { line, failed } = summary(peer?.name ?? "rotate", result);
console.log(line);
for (const [name, style] of Object.entries(result.styles)) console.log(`  ${name.padEnd(14)}${JSON.stringify(style)}`);
for (const words of [...result.broken, ...result.examples]) console.log(`  ${words}`);
if (values.dir === undefined) await rm(dir, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
