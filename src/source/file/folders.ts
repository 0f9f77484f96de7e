/**
 * Listings of folders, kept while the folder's modification time stands: names come, go and change hands only by changing it.
 *
 * So a folder of a thousand quiet files costs one stat a look. Two changes within one tick of the file system's clock have one
 * time: a listing counts as settled only after two more looks saw the same time. And since some file systems over the network
 * keep stale times, every tenth look lists anew all the same.
 */
import type { Disk } from "../../core/disk.ts";

interface Listing {
  readonly modifiedMs: number;
  readonly inode: number;
  readonly names: readonly string[];
  /** Names that are folders, where somebody asked. */
  readonly folders: Map<string, boolean>;
  /** Looks in a row that saw this time. */
  seen: number;
  look: number;
}

const settledAfter = 3;
const anewAfter = 10;

export class Folders {
  readonly #disk: Disk;
  readonly #listings = new Map<string, Listing>();
  #look = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Begins a look; forgets folders that the last one did not meet. */
  begin(): void {
    for (const [folder, { look }] of this.#listings) if (look < this.#look) this.#listings.delete(folder);
    this.#look++;
  }

  /** Names in `folder`, sorted. Rejects with the system's error. */
  async list(folder: string): Promise<readonly string[]> {
    const known = this.#listings.get(folder);
    if (known?.look === this.#look) return known.names;
    const stat = await this.#disk.stat(folder);
    const same = known !== undefined && known.modifiedMs === stat?.modifiedMs && known.inode === stat.inode;
    if (same && known.seen >= settledAfter && known.seen % anewAfter !== 0) {
      known.look = this.#look;
      known.seen++;
      return known.names;
    }
    this.#listings.delete(folder);
    const names = (await this.#disk.list(folder)).sort();
    const { modifiedMs = -1, inode = -1 } = stat ?? {};
    this.#listings.set(folder, { modifiedMs, inode, names, folders: new Map(), seen: same ? known.seen + 1 : 1, look: this.#look });
    return names;
  }

  /** Whether all folders of the last look are as they were, and their listings settled and not due anew. */
  async stand(): Promise<boolean> {
    for (const [folder, known] of this.#listings) {
      if (known.seen < settledAfter || known.seen % anewAfter === 0) return false;
      const stat = await this.#disk.stat(folder).catch(() => undefined);
      if (known.modifiedMs !== stat?.modifiedMs || known.inode !== stat.inode) return false;
    }
    for (const known of this.#listings.values()) {
      known.look = this.#look;
      known.seen++;
    }
    return true;
  }

  /** In this look, nothing in `folder` has come, gone or changed hands since the last one. `told`: its time can be relied on. */
  settled(folder: string, told: boolean): boolean {
    const listing = this.#listings.get(folder);
    if (listing === undefined || listing.look !== this.#look || listing.seen <= settledAfter) return false;
    return told || listing.seen % anewAfter !== 1;
  }

  /** The inode of `folder`, when it was listed in this look. */
  inode(folder: string): number | undefined {
    const listing = this.#listings.get(folder);
    return listing?.look === this.#look ? listing.inode : undefined;
  }

  /** Whether `name` in `folder`, which was listed in this look, is a folder itself and no symlink to one. */
  async isFolder(folder: string, name: string): Promise<boolean> {
    const listing = this.#listings.get(folder);
    const known = listing?.folders.get(name);
    if (known !== undefined) return known;
    const found = await this.#disk.stat(`${folder}/${name}`, false).catch(() => undefined);
    listing?.folders.set(name, found?.kind === "directory");
    return found?.kind === "directory";
  }
}
