/**
 * How much memory a piece of the sources takes at the most, measured in a process of its own: in the one that runs a thousand other tests
 * the collector has other things to do, and what it leaves lying says nothing about the piece.
 *
 * Run as a program it imports a module, calls what it exports under a name with the other arguments, and writes the growth in bytes.
 */
import { readFileSync } from "node:fs";
import { runProcess } from "./process.ts";

/** Bytes by which the resident memory of a child, at its highest, outgrew what it was before `call(...args)`. `module`: a path. Rejects when the call fails. */
export async function peakGrowth(module: string, call: string, ...args: string[]): Promise<number> {
  const { code, stdout, stderr } = await runProcess([process.execPath, import.meta.path, module, call, ...args]);
  const grown = Number(stdout);
  if (code !== 0 || !(grown > 0)) throw new Error(`the child ended with ${code}: ${stdout}${stderr}`);
  return grown;
}

/** `VmRSS`: resident now. `VmHWM`: the most that ever was. In bytes. */
export function memoryOf(pid: number | "self", field: "VmRSS" | "VmHWM"): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1]) * 1024;
}

if (import.meta.main) {
  const [module = "", call = "", ...args] = process.argv.slice(2);
  const calls = (await import(module)) as Record<string, ((...args: string[]) => Promise<void>) | undefined>;
  const called = calls[call];
  if (called === undefined) throw new Error(`${module} exports no ${call}`);
  const before = memoryOf("self", "VmRSS");
  await called(...args);
  process.stdout.write(String(memoryOf("self", "VmHWM") - before));
}
