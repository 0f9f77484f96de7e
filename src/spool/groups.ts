/** Commit groups as they are found in a segment file: what recovery decides on and `spool verify` checks. */
import type { Commit, FrameHeader } from "./format.ts";
import type { Item } from "./scan.ts";

/** One commit group as found. `at` and `end` frame its blocks; `sealed` says it was synced once. */
export interface FoundGroup {
  readonly at: number;
  readonly end: number;
  readonly frames: { header: FrameHeader; payloadAt: number }[];
  readonly commit: Commit | undefined;
  sealed: boolean;
  readonly damaged: boolean;
}

/** Puts the items of a segment together to groups. What follows the last group without a commit or seal is torn and left out. */
export class GroupCollector {
  readonly #groups: FoundGroup[] = [];
  #frames: FoundGroup["frames"] = [];
  #at: number | undefined;
  #damaged = false;

  add(item: Item): void {
    const { at, length, block } = item;
    const last = this.#groups.at(-1);
    if (block?.kind === "head") return;
    if (block?.kind === "seal") {
      // A seal whose commit block is rotten: the group was synced, its frames count, its positions come with the next.
      const own = last?.commit?.group === block.group || (this.#frames.length === 0 && !this.#damaged);
      if (!own) this.#close(at, undefined);
      const sealed = this.#groups.at(-1);
      if (sealed !== undefined) sealed.sealed = true;
      return;
    }
    // Anything whole behind a group says that it was synced: the next one is written only then.
    if (last !== undefined && block !== undefined) last.sealed = true;
    this.#at ??= at;
    if (block === undefined) this.#damaged = true;
    else if (block.kind === "frame" && "payloadAt" in item) this.#frames.push({ header: item.block, payloadAt: item.payloadAt });
    else if (block.kind === "commit") this.#close(at + length, block);
  }

  #close(end: number, commit: Commit | undefined): void {
    this.#groups.push({ at: this.#at ?? end, end, frames: this.#frames, commit, sealed: false, damaged: this.#damaged });
    this.#frames = [];
    this.#at = undefined;
    this.#damaged = false;
  }

  finish(): FoundGroup[] {
    return this.#groups;
  }
}
