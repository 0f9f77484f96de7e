/**
 * Reads what the directory sink delivers while it is delivered, and keeps the folder small: an object is counted when it
 * appears and removed `keepMs` later, long after any restart could want to know whether it is there. A name that comes back after
 * that is counted again; one whose bytes changed meanwhile is foreign.
 */
import { stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Counter } from "./counter.ts";

interface Seen {
  readonly at: number;
  readonly bytes: number;
  readonly modifiedMs: number;
}

export class Lake {
  objects = 0;
  readonly #dir: string;
  readonly #counter: Counter;
  readonly #keepMs: number;
  readonly #seen = new Map<string, Seen>();

  constructor(dir: string, counter: Counter, keepMs: number) {
    this.#dir = dir;
    this.#counter = counter;
    this.#keepMs = keepMs;
  }

  /** Counts what is new, removes what is old. */
  async look(): Promise<void> {
    const now = performance.now();
    for await (const name of new Bun.Glob("**/*.ndjson.zst").scan({ cwd: this.#dir, onlyFiles: true })) {
      if (this.#seen.has(name)) continue;
      const path = join(this.#dir, name);
      const { size, mtimeMs } = await stat(path);
      this.#seen.set(name, { at: now, bytes: size, modifiedMs: mtimeMs });
      this.objects++;
      this.#counter.add(Buffer.from(await Bun.zstdDecompress(await Bun.file(path).bytes())).toString(), name);
    }
    for (const [name, { at, bytes, modifiedMs }] of this.#seen) {
      if (now - at < this.#keepMs) continue;
      const path = join(this.#dir, name);
      const found = await stat(path);
      if (found.size !== bytes || found.mtimeMs !== modifiedMs) this.#counter.foreign++;
      await unlink(path);
      this.#seen.delete(name);
    }
  }
}
