/**
 * A file system of a few MiB, for what a full disk does: a tmpfs in a mount namespace of the process that runs on it, so that
 * nothing of it is left behind, whatever becomes of the test. Seen from outside it lies below /proc/PID/root.
 */

/** Why there can be none here, in unshare's words, or undefined. Many containers may make no namespace. */
export const smallDiskMissing = missing();

function missing(): string | undefined {
  const { exitCode, stderr } = Bun.spawnSync(["unshare", ...namespaces(), "true"], { stdout: "ignore", stderr: "pipe" });
  return exitCode === 0 ? undefined : stderr.toString().trim();
}

function namespaces(): readonly string[] {
  return process.getuid?.() === 0 ? ["--mount"] : ["--user", "--map-root-user", "--mount"];
}

/** What to put before a command so that it finds an empty file system of `mib` MiB at `dir`, a folder that is there. */
export function onSmallDisk(dir: string, mib: number): readonly string[] {
  const script = 'mount -t tmpfs -o "size=$1m" tmpfs "$2" && shift 2 && exec "$@"';
  return ["unshare", ...namespaces(), "sh", "-c", script, "sh", String(mib), dir];
}

/** `path` as the process `pid` sees it. */
export function seenBy(pid: number, path: string): string {
  return `/proc/${pid}/root${path}`;
}
