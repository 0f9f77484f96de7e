/** Commit groups as they are found in a segment file: what recovery decides on and `spool verify` checks. */
import type { Commit, FrameHeader, Seal } from "./format.ts";
import type { Item } from "./scan.ts";

/** One commit group as found. `at` and `end` frame its blocks; `sealed` says it was synced once. */
export interface FoundGroup {
  readonly at: number;
  readonly end: number;
  readonly frames: { header: FrameHeader; payloadAt: number }[];
  readonly commit: Commit | undefined;
  /** Its own, where its commit block is rotten. */
  seal: Seal | undefined;
  sealed: boolean;
  /** Where its own seal ends, or `end` when it has none. */
  sealEnd: number;
  readonly damaged: boolean;
}

/** Puts the items of a segment together to groups. What follows the last group without a commit or seal is torn and left out. */
export class GroupCollector {
  readonly #groups: FoundGroup[] = [];
  #frames: FoundGroup["frames"] = [];
  #at: number | undefined;
  /** End of the last damaged piece since the group before. */
  #damagedTo = 0;

  add(item: Item): void {
    const { at, length, block } = item;
    const last = this.#groups.at(-1);
    if (block?.kind === "head") return;
    if (block?.kind === "seal") {
      // A seal whose commit block is rotten: the group was synced, its frames count, its positions stand in the seal.
      const own = last?.commit?.group === block.group || this.#at === undefined;
      if (!own) this.#close(at, undefined);
      const sealed = this.#groups.at(-1);
      if (sealed === undefined) return;
      sealed.sealed = true;
      if (sealed.commit === undefined) sealed.seal = block;
      if (sealed.end === at) sealed.sealEnd = at + length;
      return;
    }
    // Anything whole behind a group says that it was synced: the next one is written only then.
    if (last !== undefined && block !== undefined) last.sealed = true;
    this.#at ??= at;
    if (block === undefined) this.#damagedTo = at + length;
    else if (block.kind === "frame" && "payloadAt" in item) this.#frames.push({ header: item.block, payloadAt: item.payloadAt });
    else if (block.kind === "commit") {
      this.#splitOff(at - block.groupBytes);
      this.#close(at + length, block);
    }
  }

  /** What lies before `start` is not of the group that begins there: a rotten seal, or a whole group without its commit block. */
  #splitOff(start: number): void {
    if (this.#at === undefined || start <= this.#at) return;
    const own = this.#frames.filter(({ payloadAt }) => payloadAt > start);
    const damagedTo = this.#damagedTo;
    if (own.length < this.#frames.length) {
      this.#frames = this.#frames.filter(({ payloadAt }) => payloadAt <= start);
      this.#close(start, undefined);
      const before = this.#groups.at(-1);
      if (before !== undefined) before.sealed = true;
    }
    this.#frames = own;
    this.#damagedTo = damagedTo;
    this.#at = start;
  }

  #close(end: number, commit: Commit | undefined): void {
    const at = this.#at ?? end;
    this.#groups.push({ at, end, frames: this.#frames, commit, seal: undefined, sealed: false, sealEnd: end, damaged: this.#damagedTo > at });
    this.#frames = [];
    this.#at = undefined;
    this.#damagedTo = 0;
  }

  /** With `countsTo`, all before it was synced: the last group counts also when its commit block is rotten and its seal beyond. */
  finish(countsTo?: number): FoundGroup[] {
    if (countsTo !== undefined && this.#frames.length > 0) this.#close(countsTo, undefined);
    const last = this.#groups.at(-1);
    if (countsTo !== undefined && last !== undefined) last.sealed = true;
    return this.#groups;
  }
}
