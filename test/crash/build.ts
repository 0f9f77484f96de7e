/** The executable with crash points, built for one run into a folder of its own: what others build meanwhile does not matter. */
import { join } from "node:path";
import { compile } from "../../build.ts";

/** Builds it into `dir`; returns its path. */
export async function buildWithPoints(dir: string): Promise<string> {
  const path = join(dir, "logferry-crash");
  await compile(join(import.meta.dir, "entry.ts"), path, { version: "0.0.0-crash", commit: "unknown" });
  return path;
}
