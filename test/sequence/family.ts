/**
 * What writers and rotation do to logs, one step at a time: a *family* is one log with its rotated copies, `act` does the next thing to it.
 * Which globs name it, and what is done to it at all, is chosen for each family: rare things then come often in some sequences.
 */
import { existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import type { Seeded } from "../sim/random.ts";
import { isBanner, type Generation, type Node, type Pack, type World } from "./world.ts";

type Action = (family: Family) => void;

const actions: Readonly<Record<string, Action>> = {
  rename: (family) => family.rename(),
  renameTwice(family) {
    family.rename();
    family.write();
    family.rename();
  },
  copytruncate: (family) => family.copytruncate(),
  truncate: (family) => family.truncate(),
  delete: (family) => family.delete(),
  move: (family) => family.move(),
  leave: (family) => family.leave(),
  expire: (family) => family.expire(),
  pack: (family) => family.pack(),
};

export class Family {
  readonly include: string[];
  readonly #world: World;
  readonly #random: Seeded;
  readonly #dir: string;
  readonly #isLink: boolean;
  /** Rotated names match the globs; so do those in the folder that files are moved to. */
  readonly #rotatedNamed: boolean;
  readonly #movedNamed: boolean;
  readonly #actions: readonly Action[];
  /** Every generation begins with the same line. */
  readonly #banner: boolean;
  /** What is written to; undefined between a rename and the new file. */
  #live: Node | undefined;
  /** Copied and not truncated yet. */
  #copied: Generation | undefined;
  /** Being compressed. */
  #pack: Pack | undefined;
  #count = 0;

  constructor(world: World, name: string) {
    const random = world.random;
    this.#world = world;
    this.#random = random;
    this.#dir = world.folder(world.join(name));
    this.#isLink = random.chance(0.25);
    this.#rotatedNamed = random.chance(0.7);
    this.#movedNamed = random.chance(0.5);
    this.#banner = random.chance(0.3);
    // What is copied and truncated is not also renamed to where no look takes the copy for its kin.
    const apart = random.chance(0.5) ? ["copytruncate"] : ["move", "leave"];
    // Logs that begin alike by more than files are known by cannot be told apart once they are compressed (compressed.ts, row 10), and one
    // that was known by its link's name alone is no kin of a compressed copy named after itself. Below 1 KiB the same goes for other folders.
    if (this.#banner || this.#isLink) apart.push("pack");
    this.#actions = Object.entries(actions)
      .filter(([action]) => random.chance(0.6) && !apart.includes(action))
      .map(([, action]) => action);
    const rotated = this.#rotatedNamed ? "app.log*" : "app.log";
    this.include = [
      this.#isLink ? "current" : rotated,
      ...(this.#isLink && this.#rotatedNamed ? ["data*"] : []),
      ...(this.#movedNamed ? ["old/*"] : []),
    ].map((glob) => `${this.#dir}/${glob}`);
  }

  /** The next thing that happens. */
  act(): void {
    if (this.#copied !== undefined) return this.#finishCopy();
    if (this.#pack !== undefined && this.#random.chance(0.5)) return this.#finishPack();
    if (this.#live === undefined) return this.#begin();
    const random = this.#random;
    if (this.#actions.length === 0 || random.chance(0.6)) return this.write();
    random.pick(this.#actions)(this);
  }

  write(): void {
    if (this.#live === undefined) this.#begin();
    if (this.#live !== undefined)
      this.#world.append(this.#live, 1 + this.#random.below(this.#random.chance(0.1) ? 200 : 12), this.#random.chance(0.3));
  }

  rename(): void {
    const live = this.#live;
    if (live === undefined) return;
    if (this.#isLink) return this.#switch(live);
    this.#shift(1);
    this.#world.rename(live, `${this.#path}.1`, this.#rotatedNamed);
    this.#retire(live);
  }

  copytruncate(): void {
    const live = this.#live;
    if (live === undefined || this.#isLink) return;
    this.#shift(1);
    this.#settleHalf(live);
    this.#world.copy(live, `${this.#path}.1`, this.#rotatedNamed);
    this.#copied = live.generation;
    const { audience } = this.#world;
    // A copy of what nobody has read a line of is just another file, for as long as both stand.
    const known = live.generation.lines.some(({ text }) => !isBanner(text) && audience.durable(text));
    if (!this.#rotatedNamed || !known || this.#random.chance(0.6)) this.#finishCopy();
  }

  truncate(): void {
    const live = this.#live;
    if (live === undefined) return;
    this.#settleHalf(live);
    this.#world.truncate(live);
    if (this.#banner) this.#world.begin(live);
    if (this.#random.chance(0.5)) this.write();
  }

  delete(): void {
    const live = this.#live;
    if (live === undefined || this.#isLink) return;
    this.#world.remove(live);
    this.#retire(live);
  }

  /** Into another folder. */
  move(): void {
    const live = this.#live;
    if (live === undefined || this.#isLink) return;
    const folder = `${this.#dir}/old`;
    if (!existsSync(folder)) this.#world.folder(folder);
    this.#world.rename(live, `${folder}/app-${this.#count++}`, this.#movedNamed);
    this.#retire(live);
  }

  /** To a name beside it that no glob has. */
  leave(): void {
    const live = this.#live;
    if (live === undefined || this.#isLink) return;
    this.#world.rename(live, `${this.#dir}/saved-${this.#count++}`, false);
    this.#retire(live);
  }

  /** One of the rotated ones is compressed. */
  pack(): void {
    this.#finishPack();
    const plain = this.#rotated().filter(({ path = "" }) => dirname(path) === this.#dir && !/\.(gz|zst)$/.test(path));
    if (plain.length === 0) return;
    const node = this.#random.pick(plain);
    this.#pack = this.#world.pack(node, this.#random.pick(["gz", "zst"]), node.named);
    if (this.#random.chance(0.6)) this.#finishPack();
  }

  /** The oldest of the rotated ones goes. */
  expire(): void {
    this.#finishPack();
    const oldest = this.#rotated()[0];
    if (oldest === undefined) return;
    this.#world.remove(oldest);
    this.#world.release(oldest);
  }

  #rotated(): Node[] {
    return [...this.#world.nodes].filter((node) => node !== this.#live && node.path?.startsWith(`${this.#dir}/`) === true);
  }

  #finishPack(): void {
    if (this.#pack !== undefined) this.#world.packed(this.#pack);
    this.#pack = undefined;
  }

  get #path(): string {
    return `${this.#dir}/app.log`;
  }

  #begin(): void {
    if (this.#isLink) {
      const path = `${this.#dir}/data-${this.#count++}`;
      this.#live = this.#world.create(path, true);
      this.#world.symlink(`${this.#dir}/current`, basename(path));
    } else {
      this.#live = this.#world.create(this.#path, true);
    }
    if (this.#banner) this.#world.begin(this.#live);
    if (this.#random.chance(0.7)) this.write();
  }

  /** The link leads to a new file; the old one keeps its own name. */
  #switch(live: Node): void {
    this.#begin();
    this.#world.name(live, this.#rotatedNamed);
    this.#finish(live);
  }

  /** It has another name or none: the writer may still write to it before it opens the new file. */
  #retire(live: Node): void {
    this.#live = undefined;
    const first = this.#random.chance(0.5);
    if (first && this.#random.chance(0.7)) this.#begin();
    this.#finish(live);
    if (!first && this.#random.chance(0.7)) this.#begin();
  }

  #finish(live: Node): void {
    if (this.#random.chance(0.6)) this.#world.append(live, this.#random.below(3), false);
    this.#world.close(live);
  }

  #finishCopy(): void {
    const live = this.#live;
    this.#copied = undefined;
    if (live === undefined) return;
    this.#world.truncate(live);
    if (this.#banner) this.#world.begin(live);
    if (this.#random.chance(0.5)) this.write();
  }

  /** A line that was cut is finished or never is: its other half must not begin the next generation. */
  #settleHalf(live: Node): void {
    if (this.#random.chance(0.5)) this.#world.append(live, 0, false);
    live.unfinished = new Uint8Array(0);
  }

  #shift(from: number): void {
    this.#finishPack();
    const at = (n: number): Node | undefined => this.#rotated().find(({ path }) => numberOf(path) === n);
    let last = from;
    while (at(last) !== undefined) last++;
    for (; last > from; last--) {
      const node = at(last - 1);
      const ending = /\.(?:gz|zst)$/.exec(node?.path ?? "")?.[0] ?? "";
      if (node !== undefined) this.#world.rename(node, `${this.#path}.${last}${ending}`, this.#rotatedNamed);
    }
  }
}

/** N of `app.log.N`, compressed or not. */
function numberOf(path: string | undefined): number {
  return Number(/\/app\.log\.(\d+)(?:\.gz|\.zst)?$/.exec(path ?? "")?.[1]);
}
