/** One running logferry of the demo: started, asked how it is doing, and ended by its process id on every path. */
import { closeSync, openSync, readFileSync } from "node:fs";
import type { Status } from "../../src/core/view.ts";
import type { Side } from "./layout.ts";

const readyMsMax = 20_000;

export class Instance {
  readonly side: Side;
  readonly url: string;
  readonly #process: Bun.Subprocess;

  constructor(executable: string, side: Side, port: number) {
    this.side = side;
    this.url = `http://127.0.0.1:${port}/`;
    const log = openSync(side.log, "w");
    // A group of its own: Ctrl-C on the terminal must not reach it, since the demo drains the edge first and the central after it.
    this.#process = Bun.spawn([executable, "run", "--config", side.config], { stdin: "ignore", stdout: log, stderr: log, detached: true });
    closeSync(log);
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves with the exit code; a signal counts as 128 and its number. */
  get exited(): Promise<number> {
    return this.#process.exited;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Resolves when it reads and its spool takes data; rejects with the end of its log when it does not come to that. */
  async ready(): Promise<void> {
    const deadline = performance.now() + readyMsMax;
    while (this.running && performance.now() < deadline) {
      const answer = await fetch(`${this.url}ready`).catch(() => undefined);
      if (answer?.status === 200) return;
      await Bun.sleep(20);
    }
    throw new Error(this.running ? `the ${this.side.name} instance is not ready after 20 s\n${this.#logTail()}` : await this.ending());
  }

  /** Undefined while it does not answer. */
  async status(): Promise<Status | undefined> {
    try {
      const answer = await fetch(`${this.url}status`, { signal: AbortSignal.timeout(2000) });
      return answer.ok ? ((await answer.json()) as Status) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Asks it to drain; resolves with the exit code. */
  async drain(): Promise<number> {
    if (this.running) this.#process.kill("SIGTERM");
    return this.exited;
  }

  kill(): void {
    if (this.running) this.#process.kill("SIGKILL");
  }

  /** How it ended, with the end of its log. */
  async ending(): Promise<string> {
    return `the ${this.side.name} instance ended by itself with exit code ${await this.exited}:\n${this.#logTail()}`;
  }

  #logTail(): string {
    return readFileSync(this.side.log, "utf8").trimEnd().split("\n").slice(-8).join("\n");
  }
}
