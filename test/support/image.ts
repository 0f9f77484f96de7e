/**
 * ext4 in an image file behind a loop device with direct I/O: a file system of a test's own, of a known size, that stays when the
 * process on it dies. Needs root with CAP_SYS_ADMIN, /dev/loop-control and mkfs.ext4: ask `loopMissing` first.
 */
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { runProcess } from "./process.ts";

export interface LoopImage extends AsyncDisposable {
  /** Where it is mounted. */
  readonly mount: string;
  readonly image: string;
  readonly device: string;
}

/** Runs a tool; its output. Rejects with its words. */
export async function run(...command: string[]): Promise<string> {
  const { code, stdout, stderr } = await runProcess(command);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit ${code}: ${stderr.trim()}`);
  return stdout.trim();
}

/** Makes and mounts it below `dir`. Leaves nothing behind when it rejects. */
export async function loopImage(dir: string, mib: number): Promise<LoopImage> {
  await mkdir(join(dir, "mnt"), { recursive: true });
  const image = join(dir, "disk.img");
  {
    await using file = await open(image, "w");
    await file.truncate(mib * 1024 * 1024);
  }
  // Nothing is left to be initialised later: the device is quiet when nobody writes.
  await run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", image);
  const device = await run("losetup", "--find", "--show", "--direct-io=on", image);
  const mount = join(dir, "mnt");
  try {
    if ((await run("losetup", "--noheadings", "--output", "DIO", device)) !== "1") throw new Error(`${device} does no direct I/O here`);
    await run("mount", "-t", "ext4", device, mount);
  } catch (cause) {
    await run("losetup", "--detach", device);
    throw cause;
  }
  return {
    mount,
    image,
    device,
    async [Symbol.asyncDispose]() {
      // Several may lie on top of each other.
      while ((await runProcess(["mountpoint", "-q", mount])).code === 0) await run("umount", mount);
      await run("losetup", "--detach", device);
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** Why there can be no such file system here, or undefined. Tries it for real: mount rights cannot be told otherwise. */
export async function loopMissing(dir: string): Promise<string | undefined> {
  if (process.platform !== "linux") return "loop devices are Linux's own";
  try {
    await using image = await loopImage(join(dir, "trial"), 16);
    return image.mount === "" ? "no mount" : undefined;
  } catch (cause) {
    return String(cause instanceof Error ? cause.message : cause);
  }
}
