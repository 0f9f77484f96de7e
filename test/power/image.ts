/**
 * A file system whose power can be cut: ext4 in an image file behind a loop device with direct I/O, so that the image holds
 * exactly what the kernel has sent to the "disk", and nothing that only lies in its page cache. A copy of the image at some
 * moment is what a power cut at that moment leaves; mounting the copy replays its journal, as the next boot would.
 *
 * A copy takes a few milliseconds. It counts only when the device did no I/O from before its begin to after its end, by the
 * kernel's own counters: otherwise it could hold a later write without an earlier one, which no power cut leaves. So a cut
 * falls between two writes of the kernel and never into one: torn and reordered writes are the simulation's (test/sim).
 *
 * Needs root with CAP_SYS_ADMIN, /dev/loop-control and mkfs.ext4. `unavailable` says what is missing.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { loopImage, run } from "../support/image.ts";

export interface Cut {
  /** The image as it was at the moment. */
  readonly path: string;
}

export interface PowerImage extends AsyncDisposable {
  /** Where it is mounted. */
  readonly mount: string;
  /** Takes copies until one counts; `before` is called right before each. */
  cut(name: string, before: () => void): Promise<Cut>;
  /** Mounts a copy (its journal is replayed), hands over the place, unmounts and removes it. */
  look<T>(cut: Cut, work: (mount: string) => Promise<T>): Promise<T>;
}

const imageMiB = 96;
const triesMax = 200;

/** Why there can be no such file system here, or undefined. Tries it for real: mount rights cannot be told otherwise. */
export async function unavailable(dir: string): Promise<string | undefined> {
  if (process.platform !== "linux") return "loop devices are Linux's own";
  try {
    await using image = await powerImage(join(dir, "trial"));
    await image.cut("trial", () => {});
    return undefined;
  } catch (cause) {
    return String(cause instanceof Error ? cause.message : cause);
  }
}

/** Makes and mounts it below `dir`. Rejects with the words of the tool that failed; leaves nothing behind then. */
export async function powerImage(dir: string): Promise<PowerImage> {
  const loop = await loopImage(dir, imageMiB);
  const { mount, image, device } = loop;
  const counters = async (): Promise<string | undefined> => {
    const [stat, inflight] = await Promise.all(["stat", "inflight"].map((name) => readFile(`/sys/block/${basename(device)}/${name}`, "utf8")));
    // Writes, sectors written and flushes so far, or undefined while something is under way.
    const fields = (stat ?? "").trim().split(/\s+/);
    return /^\s*0\s+0\s*$/.test(inflight ?? "") ? `${fields[4]} ${fields[6]} ${fields[15]}` : undefined;
  };
  return {
    mount,
    async cut(name, before) {
      const path = join(dir, `${name}.cut`);
      for (let attempt = 0; attempt < triesMax; attempt++) {
        const from = await counters();
        before();
        await copySparse(image, path);
        if (from !== undefined && from === (await counters())) return { path };
        await Bun.sleep(Math.random() * 20);
      }
      throw new Error(`no quiet moment of ${device} in ${triesMax} tries`);
    },
    async look(cut, work) {
      const place = `${cut.path}.mnt`;
      await mkdir(place);
      await run("mount", "-t", "ext4", "-o", "loop", cut.path, place);
      try {
        return await work(place);
      } finally {
        await run("umount", place);
        await rm(place, { recursive: true });
        await rm(cut.path);
      }
    },
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
}

/** Holes stay holes: 96 MiB that are mostly empty copy in the time of what is in them. */
async function copySparse(from: string, to: string): Promise<void> {
  await rm(to, { force: true });
  await run("cp", "--sparse=always", "--reflink=auto", from, to);
}
