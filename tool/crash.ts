/**
 * `npm run crash -- --minutes N`: kills logferry for N minutes (2 without it) and counts every line. One honest line at the
 * end; exit 1 when anything was lost, came twice, or an instance ended by itself.
 */
import { parseArgs } from "node:util";
import { buildWithPoints } from "../test/crash/build.ts";
import { crash, summary } from "../test/crash/harness.ts";
import { scratch } from "../test/support/scratch.ts";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "2" }, rate: { type: "string", default: "1500" } } });
const seconds = Number(values.minutes) * 60;
if (!(seconds > 0) || !(Number(values.rate) > 0)) {
  console.error("crash: --minutes and --rate (lines a second) are numbers above 0");
  process.exit(2);
}
await using dir = await scratch();
const executable = await buildWithPoints(dir.path);
const tty = process.stderr.isTTY;
const result = await crash({
  dir,
  executable,
  seconds,
  linesPerSecond: Number(values.rate),
  onKill: ({ edge, central }) => void (tty && process.stderr.write(`\r${edge + central} kills`)),
});
if (tty) process.stderr.write("\r");
for (const words of result.broken) console.error(words);
const { line, failed } = summary(result, seconds);
console.log(`crash: ${line}`);
for (const [name, tally] of Object.entries(result.places)) console.log(`  ${name.padEnd(8)} ${JSON.stringify(tally)}`);
console.log(`  points   ${JSON.stringify(result.kills.points)}`);
process.exitCode = failed ? 1 : 0;
