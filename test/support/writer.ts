/**
 * A writer that is not the collector: numbered lines into files that it rotates by rename and create.
 *
 *     bun writer.ts DIR SECONDS LINES_PER_SECOND ROTATE_EVERY NAME…
 *
 * Each NAME is a file `NAME.log`; its lines are `w=NAME n=0 …`, `w=NAME n=1 …`. Every ROTATE_EVERY lines it is renamed to
 * `NAME.log.1` (older ones to .2, .3, …: none is ever removed) and begun anew. Prints `{"NAME": lines, …}` at the end, also on SIGTERM.
 */
import { closeSync, existsSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

const [dir = ".", seconds = "5", rate = "1000", every = "1000", ...names] = process.argv.slice(2);
const tickMs = 20;
const padding = "GET /index.html HTTP/1.1 200 512 some words to make a line as long as lines are in real access logs ";

interface Target {
  fd: number;
  lines: number;
  sinceRotation: number;
}

const targets = new Map<string, Target>(names.map((name) => [name, { fd: openSync(join(dir, `${name}.log`), "a"), lines: 0, sinceRotation: 0 }]));
let ended = false;
process.on("SIGTERM", () => (ended = true));

function rotate(name: string, target: Target): void {
  let last = 1;
  while (existsSync(join(dir, `${name}.log.${last}`))) last++;
  for (; last > 1; last--) renameSync(join(dir, `${name}.log.${last - 1}`), join(dir, `${name}.log.${last}`));
  renameSync(join(dir, `${name}.log`), join(dir, `${name}.log.1`));
  // As daemons do: what is written between the rename and the reopen still goes into the old file.
  writeLines(name, target, 3);
  closeSync(target.fd);
  target.fd = openSync(join(dir, `${name}.log`), "a");
  target.sinceRotation = 0;
}

function writeLines(name: string, target: Target, count: number): void {
  let text = "";
  for (let i = 0; i < count; i++) text += `w=${name} n=${target.lines++} ${padding.slice(0, 20 + (target.lines % 80))}\n`;
  target.sinceRotation += count;
  // Cut in the middle of a line on purpose: a reader between the two writes must wait for the rest.
  const half = text.length >> 1;
  writeSync(target.fd, text.slice(0, half));
  writeSync(target.fd, text.slice(half));
}

const perTick = Math.max(1, Math.round((Number(rate) * tickMs) / 1000));
const start = performance.now();
while (!ended && performance.now() - start < Number(seconds) * 1000) {
  for (const [name, target] of targets) {
    writeLines(name, target, perTick);
    if (target.sinceRotation >= Number(every)) rotate(name, target);
  }
  await Bun.sleep(tickMs);
}
for (const { fd } of targets.values()) closeSync(fd);
console.log(JSON.stringify(Object.fromEntries([...targets].map(([name, { lines }]) => [name, lines]))));
