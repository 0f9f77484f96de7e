/**
 * Lines of Docker's json-file driver:
 *
 *     {"log":"the line\n","stream":"stdout","time":"2026-11-23T01:30:20.590123456Z"}
 *
 * A `log` without a line end goes on in the next line of the same stream (Docker cuts at 16 KiB). `attrs` and whatever else stands in
 * it is left out. The scan of core/json.ts is not used: three keys of an object that a machine wrote are found at a third of its cost,
 * and a line that is anything else goes through JSON.parse.
 */
import { readRfc3339 } from "./instant.ts";
import { outputs, type Line, type Output } from "./line.ts";
import { unescape } from "./unescape.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const LOG = encoder.encode('{"log":"');
const STREAM = encoder.encode(',"stream":"std');
const TIME = encoder.encode(',"time":"');
const LF = 10;

/** Takes the envelope off lines; holds the memory that their content is written to. */
export class DockerLines {
  #content: Uint8Array = new Uint8Array(32 * 1024);

  /** False, and nothing changed but the time, when the line has no such envelope. The content is good until the next call. */
  unwrap(line: Line): boolean {
    const { bytes, start, end } = line;
    if (begins(bytes, start, end, LOG) && this.#usual(line, start + LOG.length, end)) return true;
    return this.#any(line, bytes, start, end);
  }

  /** The three keys as Docker writes them, in this order and without white space. */
  #usual(line: Line, log: number, end: number): boolean {
    const { bytes } = line;
    const logEnd = stringEnd(bytes, log, end);
    if (!begins(bytes, logEnd + 1, end, STREAM)) return false;
    const output = bytes[logEnd + 1 + STREAM.length] === 0x6f ? outputs.stdout : outputs.stderr;
    const time = logEnd + 1 + STREAM.length + 4;
    if (!begins(bytes, time - 4, end, output === outputs.stdout ? OUT : ERR) || !begins(bytes, time, end, TIME)) return false;
    const after = readRfc3339(bytes, time + TIME.length, end, line, undefined);
    if (after < 0 || bytes[after] !== 0x22 || bytes[after + 1] !== 0x7d || after + 2 !== end) return false;
    const escape = bytes.indexOf(0x5c, log);
    if (escape === logEnd - 2 && bytes[logEnd - 1] === 0x6e) {
      this.#set(line, bytes, log, logEnd - 1, output, true); // nothing to undo but the line end
      return true;
    }
    if (this.#content.length < logEnd - log) this.#content = new Uint8Array(2 * (logEnd - log));
    this.#set(line, this.#content, 0, unescape(bytes, log, logEnd, this.#content, 0), output, false);
    return true;
  }

  #any(line: Line, bytes: Uint8Array, start: number, end: number): boolean {
    const value = parsed(bytes, start, end);
    const { log, stream, time } = value ?? {};
    if (typeof log !== "string" || typeof time !== "string" || (stream !== "stdout" && stream !== "stderr")) return false;
    const timeBytes = encoder.encode(time);
    if (readRfc3339(timeBytes, 0, timeBytes.length, line, undefined) !== timeBytes.length) return false;
    const content = encoder.encode(log);
    this.#set(line, content, 0, content.length, outputs[stream], false);
    return true;
  }

  #set(line: Line, bytes: Uint8Array, start: number, end: number, output: Output, ended: boolean): void {
    const whole = ended || (end > start && bytes[end - 1] === LF);
    line.bytes = bytes;
    line.start = start;
    line.end = whole ? end - 1 : end;
    line.output = output;
    line.goesOn = !whole;
  }
}

const OUT = encoder.encode('out"');
const ERR = encoder.encode('err"');

/** The closing quote of the string whose text begins at `start`; `end` when there is none. */
function stringEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let from = start; ;) {
    const quote = bytes.indexOf(0x22, from);
    if (quote < 0 || quote >= end) return end;
    let backslashes = 0;
    while (quote - 1 - backslashes >= start && bytes[quote - 1 - backslashes] === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

function parsed(bytes: Uint8Array, start: number, end: number): Record<string, unknown> | undefined {
  if (bytes[start] !== 0x7b) return undefined;
  try {
    return JSON.parse(decoder.decode(bytes.subarray(start, end))) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function begins(bytes: Uint8Array, at: number, end: number, text: Uint8Array): boolean {
  if (at + text.length > end) return false;
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text[index]) return false;
  return true;
}
