/** Damaged bytes, kept aside for inspection as `quarantine/{segment}-{offset}.bin`, at most `quarantineBytes` in all. */
import type { Board } from "../core/board.ts";
import type { Disk } from "../core/disk.ts";
import { Fault } from "../core/fault.ts";
import { quarantineBytes } from "../core/limits.ts";
import { segmentName } from "./layout.ts";
import { readFully } from "./scan.ts";

const chunkBytes = 1024 * 1024;

export class Quarantine {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #segmentsDir: string;
  readonly #board: Board;
  readonly #kept = new Set<string>();

  constructor(disk: Disk, dir: string, segmentsDir: string, board: Board) {
    this.#disk = disk;
    this.#dir = dir;
    this.#segmentsDir = segmentsDir;
    this.#board = board;
  }

  /** Copies `length` bytes of a segment aside and counts the damage, once for each place. Never rejects: it only helps a person. */
  async keep(segment: number, at: number, length: number): Promise<void> {
    const name = `${segmentName(segment).replace(/\.zst$/, "")}-${at}.bin`;
    if (this.#kept.has(name)) return;
    this.#kept.add(name);
    const path = `${this.#segmentsDir}/${segmentName(segment)}`;
    this.#board.count(
      "spool",
      new Fault({
        code: "spool_frame_corrupt",
        retry: "never",
        message: `read segment ${path}: ${length} damaged bytes at byte ${at}`,
        hint: `they are kept in ${this.#dir} for inspection; check the disk. Everything else is read on`,
      }),
    );
    try {
      if ((await this.#held()) + length <= quarantineBytes) await this.#copy(path, at, length, `${this.#dir}/${name}`);
    } catch {
      // full or unreadable disk: the damage is counted all the same
    }
  }

  async #held(): Promise<number> {
    let bytes = 0;
    for (const name of await this.#disk.list(this.#dir)) bytes += (await this.#disk.stat(`${this.#dir}/${name}`))?.bytes ?? 0;
    return bytes;
  }

  async #copy(from: string, at: number, length: number, to: string): Promise<void> {
    await using source = await this.#disk.open(from, "read");
    await using target = await this.#disk.open(to, "write");
    for (let done = 0; done < length;) {
      const part = new Uint8Array(Math.min(chunkBytes, length - done));
      const count = await readFully(source, part, at + done);
      if (count === 0) return;
      await target.write([part.subarray(0, count)], done);
      done += count;
    }
  }
}
