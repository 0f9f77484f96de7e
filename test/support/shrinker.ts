/**
 * A writer that is not the collector: numbered lines into logs that are rotated and compressed as logrotate does it.
 *
 *     bun shrinker.ts DIR LINES_PER_SECOND ROTATE_EVERY
 *
 * Writes `now-gzip.log`, `now-zstd.log` (compressed as soon as they are rotated), `later-gzip.log` and `later-zstd.log` (one rotation later:
 * `delaycompress`); lines as writer.ts has them. The compressors are the real ones, which write NAME.gz beside NAME and remove NAME then.
 * Prints `{"NAME": lines, …}` on SIGTERM.
 */
import { closeSync, existsSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

const [dir = ".", rate = "1000", every = "1000"] = process.argv.slice(2);
const tickMs = 20;
const padding = "GET /index.html HTTP/1.1 200 512 some words to make a line as long as lines are in real access logs ";
const commands = {
  gzip: (path: string) => ["gzip", path],
  zstd: (path: string) => ["zstd", "-q", "--rm", path],
};
const endings = { gzip: "gz", zstd: "zst" };
type Packing = keyof typeof commands;

class Log {
  lines = 0;
  since = 0;
  busy: Promise<unknown> = Promise.resolve();
  readonly name: string;
  readonly #packing: Packing;
  readonly #delayed: boolean;
  #fd: number;

  constructor(when: "now" | "later", packing: Packing) {
    this.name = `${when}-${packing}`;
    this.#packing = packing;
    this.#delayed = when === "later";
    this.#fd = openSync(this.#path, "a");
  }

  get #path(): string {
    return join(dir, `${this.name}.log`);
  }

  write(count: number): void {
    let text = "";
    for (let i = 0; i < count; i++) text += `w=${this.name} n=${this.lines++} ${padding.slice(0, 20 + (this.lines % 80))}\n`;
    this.since += count;
    const half = text.length >> 1;
    writeSync(this.#fd, text.slice(0, half));
    writeSync(this.#fd, text.slice(half));
  }

  /** Generations: PATH.1 (plain, or compressed), PATH.2.gz and so on; the oldest has the highest number. */
  async rotate(): Promise<void> {
    this.since = 0;
    const ending = `.${endings[this.#packing]}`;
    const oldest = this.#delayed ? 2 : 1;
    let last = oldest;
    while (existsSync(`${this.#path}.${last}${ending}`)) last++;
    for (; last > oldest; last--) renameSync(`${this.#path}.${last - 1}${ending}`, `${this.#path}.${last}${ending}`);
    const before = `${this.#path}.1`;
    if (this.#delayed && existsSync(before)) {
      renameSync(before, `${this.#path}.2`);
      await this.#shrink(`${this.#path}.2`);
    }
    renameSync(this.#path, before);
    closeSync(this.#fd);
    this.#fd = openSync(this.#path, "a");
    if (!this.#delayed) await this.#shrink(before);
  }

  async #shrink(path: string): Promise<void> {
    const done = Bun.spawn(commands[this.#packing](path), { stdout: "ignore", stderr: "inherit" });
    if ((await done.exited) !== 0) throw new Error(`compressing ${path} failed`);
  }
}

const logs = [new Log("now", "gzip"), new Log("now", "zstd"), new Log("later", "gzip"), new Log("later", "zstd")];
let ended = false;
process.on("SIGTERM", () => (ended = true));
const perTick = Math.max(1, Math.round((Number(rate) * tickMs) / 1000));
const rotating = new Set<Log>();
while (!ended) {
  for (const log of logs) {
    log.write(perTick);
    if (log.since < Number(every) || rotating.has(log)) continue;
    rotating.add(log);
    log.busy = log.rotate().finally(() => rotating.delete(log));
  }
  await Bun.sleep(tickMs);
}
for (const { busy } of logs) await busy;
console.log(JSON.stringify(Object.fromEntries(logs.map(({ name, lines }) => [name, lines]))));
