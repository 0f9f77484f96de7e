/** `logferry version`: which build this is. */
import { commit, target, version } from "../core/version.ts";
import type { Io } from "./io.ts";

export interface VersionOptions {
  json?: boolean;
}

export async function run(options: VersionOptions, io: Io): Promise<number> {
  await io.stdout(
    options.json === true
      ? `${JSON.stringify({ version, commit, bun: Bun.version, target })}\n`
      : `logferry ${version} (commit ${commit.replace(/^([0-9a-f]{12})[0-9a-f]{28}/, "$1")}, Bun ${Bun.version}, ${target})\n`,
  );
  return 0;
}
