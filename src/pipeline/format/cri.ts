/**
 * Lines of Kubernetes (CRI logging format: containerd, CRI-O):
 *
 *     2026-11-23T01:30:20.590123456Z stdout F the line
 *     └ time, RFC 3339 ────────────┘ │      └ tags, colon between: P it goes on in the next line, F it ends here
 *                                    └ stdout or stderr
 */
import { readRfc3339 } from "./instant.ts";
import { outputs, type Line } from "./line.ts";

const STDOUT = new TextEncoder().encode("stdout ");
const STDERR = new TextEncoder().encode("stderr ");

/** Takes the envelope off; false, and nothing changed but the time, when the line has none. */
export function unwrapCri(line: Line): boolean {
  const { bytes, start, end } = line;
  let at = readRfc3339(bytes, start, end, line, undefined);
  if (at < 0 || bytes[at] !== 0x20) return false;
  at++;
  const output = begins(bytes, at, end, STDOUT) ? outputs.stdout : begins(bytes, at, end, STDERR) ? outputs.stderr : outputs.none;
  at += STDOUT.length;
  if (output === outputs.none || at >= end) return false;
  const tag = bytes[at];
  const after = bytes[at + 1];
  if ((tag !== 0x50 && tag !== 0x46) || (at + 1 < end && after !== 0x20 && after !== 0x3a)) return false;
  while (at < end && bytes[at] !== 0x20) at++;
  line.start = Math.min(at + 1, end);
  line.output = output;
  line.goesOn = tag === 0x50;
  return true;
}

function begins(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  if (at + text.length > end) return false;
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text[index]) return false;
  return true;
}
