/** Loads the configuration for a command and shows its mistakes, the same everywhere. */
import type { Config } from "../config/config.ts";
import { load } from "../config/load.ts";
import { mistakeText, type Mistake } from "../config/mistake.ts";
import { plural } from "./human.ts";
import type { Io } from "./io.ts";

/** The configuration, or undefined after its mistakes were written to stderr: the command then ends with code 2. */
export async function loadOrTell(file: string, io: Io): Promise<Config | undefined> {
  const loaded = await load(file, io.env, io.doors.disk);
  if ("config" in loaded) return loaded.config;
  io.stderr(mistakesText(loaded.mistakes));
  return undefined;
}

/** One line for each mistake, and how many there are unless it is the file itself. */
export function mistakesText(mistakes: readonly Mistake[]): string {
  const lines = `${mistakes.map(mistakeText).join("\n")}\n`;
  return mistakes[0]?.line === 0 ? lines : `${lines}${plural(mistakes.length, "mistake")} in the configuration\n`;
}
