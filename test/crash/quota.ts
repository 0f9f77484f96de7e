/** A quota as a user has one: what the process has written may take so many bytes in all, and a file says how many, at any time anew. */
import { readFileSync } from "node:fs";
import type { DiskFile } from "../../src/core/disk.ts";

export class Quota {
  readonly #file: string;
  readonly #sizes = new Map<string, number>();
  #used = 0;

  constructor(file: string) {
    this.#file = file;
  }

  set(path: string, bytes: number): void {
    this.#used += bytes - (this.#sizes.get(path) ?? 0);
    if (bytes > 0) this.#sizes.set(path, bytes);
    else this.#sizes.delete(path);
  }

  move(from: string, to: string): void {
    const bytes = this.#sizes.get(from) ?? 0;
    this.set(from, 0);
    this.set(to, bytes);
  }

  /** Before `bytes` are written: rejects with EDQUOT when they do not fit, and what of them fits is then there. */
  async grow(file: DiskFile, bytes: Uint8Array, position: number): Promise<void> {
    const before = this.#sizes.get(file.path) ?? 0;
    const end = position + bytes.byteLength;
    const free = Math.max(0, Number(readFileSync(this.#file, "utf8")) - this.#used);
    if (end - before <= free) return this.set(file.path, Math.max(before, end));
    const fits = Math.max(0, before + free - position);
    await file.write([bytes.subarray(0, fits)], position);
    this.set(file.path, Math.max(before, position + fits));
    throw Object.assign(new Error("disk quota exceeded"), { code: "EDQUOT" });
  }
}
