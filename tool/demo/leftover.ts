/**
 * The processes of a demo that could not clean up (kill -9, power): ended at the next start, and only if the process that has the
 * number today is still the one that was started, judged by its command line.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./layout.ts";

const file = join(root, ".cache", "demo.pids");

interface Started {
  readonly pid: number;
  /** Some text that only its command line holds. */
  readonly mark: string;
}

export function remember(started: readonly Started[]): void {
  writeFileSync(file, JSON.stringify(started));
}

/** Ends what is left. Throws when another demo is running in this checkout. */
export async function endLeftovers(): Promise<void> {
  const [demo, ...children] = read();
  if (demo !== undefined && demo.pid !== process.pid && isSame(demo)) {
    throw new Error(`another demo runs in this checkout (process ${demo.pid}): let it end first, it uses ${dirname(file)}/demo as well`);
  }
  for (const child of children) {
    if (!isSame(child)) continue;
    process.kill(child.pid, "SIGKILL");
    while (isSame(child)) await Bun.sleep(20);
  }
}

function read(): Started[] {
  if (!existsSync(file)) return [];
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return []; // cut off while it was written: nothing to go by
  }
}

function isSame({ pid, mark }: Started): boolean {
  return commandLine(pid).includes(mark);
}

/** Empty when there is no such process. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    if (process.platform === "linux") return "";
    return Bun.spawnSync(["ps", "-o", "command=", "-p", String(pid)]).stdout.toString();
  }
}
