/** A folder of a test's own, gone when the test is over: `await using dir = await scratch();` */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Scratch extends AsyncDisposable {
  readonly path: string;
  /** A path below the folder. */
  join(...names: string[]): string;
}

/** Where a file system in memory lies as a rule; the temporary folder where there is none. */
export const memoryRoot = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Makes a new, empty folder below the system's temporary one, or below `root`. */
export async function scratch(root = tmpdir()): Promise<Scratch> {
  const path = await mkdtemp(join(root, "logferry-test-"));
  return {
    path,
    join: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
