/** The generator as the demo sees it: a process that writes until it is told to stop, and says what it wrote. */
import { join } from "node:path";
import type { Progress } from "./generator.ts";
import { sourceNames } from "./layout.ts";

/** Lines of all files together. */
export const total = (progress: Progress): number => sourceNames.reduce((sum, name) => sum + progress.lines[name], 0);

export class Generator {
  #progress: Progress | undefined;
  readonly #process: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #reading: Promise<void>;

  constructor() {
    this.#process = Bun.spawn([process.execPath, join(import.meta.dir, "generator.ts")], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      detached: true,
    });
    this.#reading = this.#read();
  }

  get lines(): number {
    return this.#progress === undefined ? 0 : total(this.#progress);
  }

  async stop(): Promise<Progress> {
    void this.#process.stdin.end();
    const code = await this.#process.exited;
    await this.#reading;
    if (code !== 0 || this.#progress === undefined) throw new Error(`the generator ended with exit code ${code}`);
    return this.#progress;
  }

  kill(): void {
    if (this.#process.exitCode === null) this.#process.kill("SIGKILL");
  }

  get exited(): Promise<number> {
    return this.#process.exited;
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const part of this.#process.stdout) {
      const lines = (rest + decoder.decode(part, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      const last = lines.at(-1);
      if (last !== undefined) this.#progress = JSON.parse(last);
    }
  }
}
