/** A folder of a test's own, gone when the test is over: `await using dir = await scratch();` */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Scratch extends AsyncDisposable {
  readonly path: string;
  /** A path below the folder. */
  join(...names: string[]): string;
}

/** Makes a new, empty folder below the system's temporary one. */
export async function scratch(): Promise<Scratch> {
  const path = await mkdtemp(join(tmpdir(), "logferry-test-"));
  return {
    path,
    join: (...names) => join(path, ...names),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
