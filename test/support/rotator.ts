/**
 * Six writers that are not the collector, each rotating its log in a way of its own, in one process:
 *
 *     bun rotator.ts DIR SECONDS LINES_PER_SECOND ROTATE_EVERY
 *
 *     chain       renamed to .1, older ones to .2, .3, …, and begun anew
 *     dated       renamed to a name that never changes again, and begun anew
 *     truncated   copied to .1, older ones to .2, .3, …, and cut to nothing in its place (copytruncate)
 *     packed      renamed, compressed beside itself, the plain one removed
 *     moved       renamed into the folder `old`, which nobody looks into
 *     deleted     removed and begun anew
 *
 * Lines are `w=NAME n=0 …`, `w=NAME n=1 …` in `NAME.log`. Prints `{"NAME": lines, …}` at the end, also on SIGTERM.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const [dir = ".", seconds = "10", rate = "600", every = "600"] = process.argv.slice(2);
const tickMs = 20;
const words = "GET /index.html HTTP/1.1 200 512 some words to make a line as long as lines are in real access logs ";

interface Log {
  readonly path: string;
  fd: number;
  lines: number;
  rotations: number;
}

/** Frees the name `path.1`: what is there becomes `.2`, and so on. */
function shift(path: string): void {
  let last = 1;
  while (existsSync(`${path}.${last}`)) last++;
  for (; last > 1; last--) renameSync(`${path}.${last - 1}`, `${path}.${last}`);
}

function reopen(log: Log): void {
  closeSync(log.fd);
  log.fd = openSync(log.path, "a");
}

const styles: Record<string, (log: Log) => void> = {
  chain(log) {
    shift(log.path);
    renameSync(log.path, `${log.path}.1`);
    reopen(log);
  },
  dated(log) {
    renameSync(log.path, `${log.path}-20261123-${String(log.rotations).padStart(3, "0")}`);
    reopen(log);
  },
  truncated(log) {
    shift(log.path);
    copyFileSync(log.path, `${log.path}.1`);
    ftruncateSync(log.fd, 0);
  },
  packed(log) {
    const plain = `${log.path}.${log.rotations}`;
    renameSync(log.path, plain);
    reopen(log);
    writeFileSync(`${plain}.gz.tmp`, gzipSync(readFileSync(plain)));
    renameSync(`${plain}.gz.tmp`, `${plain}.gz`);
    rmSync(plain);
  },
  moved(log) {
    renameSync(log.path, join(dir, "old", `moved.${log.rotations}`));
    reopen(log);
  },
  deleted(log) {
    rmSync(log.path);
    reopen(log);
  },
};

mkdirSync(join(dir, "old"), { recursive: true });
const logs = Object.keys(styles).map((name): [string, Log] => {
  const path = join(dir, `${name}.log`);
  return [name, { path, fd: openSync(path, "a"), lines: 0, rotations: 0 }];
});
let ended = false;
process.on("SIGTERM", () => (ended = true));

function writeLines(name: string, log: Log, count: number): void {
  let text = "";
  for (let i = 0; i < count; i++) text += `w=${name} n=${log.lines++} ${words.slice(0, 20 + (log.lines % 80))}\n`;
  // Cut in the middle of a line on purpose: a reader between the two writes must wait for the rest.
  const half = text.length >> 1;
  writeSync(log.fd, text.slice(0, half));
  writeSync(log.fd, text.slice(half));
}

const began = performance.now();
for (let written = 0; !ended && written < Number(seconds) * Number(rate);) {
  // By the clock and not by the tick: a machine that is busy elsewhere writes in bursts, and as much in all.
  const due = Math.min(Math.floor(((performance.now() - began) / 1000) * Number(rate)), Number(seconds) * Number(rate));
  for (const [name, log] of logs) {
    if (due > written) writeLines(name, log, due - written);
    // Each at another moment.
    const offset = logs.findIndex(([other]) => other === name) * Math.floor(Number(every) / logs.length);
    if (Math.floor((log.lines + offset) / Number(every)) <= log.rotations) continue;
    log.rotations++;
    styles[name]?.(log);
  }
  written = Math.max(written, due);
  await Bun.sleep(tickMs);
}
for (const [, { fd }] of logs) closeSync(fd);
console.log(JSON.stringify(Object.fromEntries(logs.map(([name, { lines }]) => [name, lines]))));
