/** Looks at the journals of a spool from outside, also while they are in use: nothing is written. */
import type { Disk } from "../core/disk.ts";
import { parseLine } from "./journal.ts";
import { parseEntry } from "./ledger.ts";

/** `offset` is a byte of `file`. */
export interface JournalDamage {
  readonly file: string;
  readonly offset: number;
  readonly code: "journal_damaged" | "journal_lost" | "journal_unreadable";
  readonly message: string;
}

/** Every line of every journal in `folder`; `known` are the sinks that must have one. A torn end, as a crash leaves it, is no damage. */
export async function* verifyJournals(disk: Disk, folder: string, known: readonly string[]): AsyncGenerator<JournalDamage> {
  const there = (await disk.stat(folder)) === undefined ? [] : (await disk.list(folder)).filter((name) => name.endsWith(".journal"));
  for (const name of known.map((sink) => `${sink}.journal`)) {
    if (!there.includes(name))
      yield { file: name, offset: 0, code: "journal_lost", message: "it is gone: it is made anew from what the far side has, or can be put back" };
  }
  for (const file of there.toSorted()) {
    let bytes: Buffer;
    try {
      bytes = await readAll(disk, `${folder}/${file}`);
    } catch (cause) {
      yield { file, offset: 0, code: "journal_unreadable", message: String(cause) };
      continue;
    }
    yield* damagesIn(file, bytes);
  }
}

function* damagesIn(file: string, bytes: Uint8Array): Generator<JournalDamage> {
  let bad: number[] = [];
  let positioned = false;
  for (let at = 0; at < bytes.byteLength;) {
    const end = bytes.indexOf(10, at);
    const json = end < 0 ? undefined : parseLine(bytes.subarray(at, end));
    const entry = json === undefined ? undefined : parseEntry(json);
    if (entry !== undefined || (json !== undefined && "kind" in json && json.kind === "head")) {
      for (const offset of bad) yield { file, offset, code: "journal_damaged", message: "a line is not whole" };
      bad = [];
      positioned ||= entry?.kind === "passed" || entry?.kind === "delivered";
    } else bad.push(at);
    at = end < 0 ? bytes.byteLength : end + 1;
  }
  if (!positioned) yield { file, offset: 0, code: "journal_damaged", message: "no whole line in it says how far the sink was" };
}

async function readAll(disk: Disk, path: string): Promise<Buffer> {
  await using file = await disk.open(path, "read");
  const bytes = Buffer.alloc((await file.stat()).bytes);
  let length = 0;
  for (let count = -1; count !== 0 && length < bytes.byteLength; length += count) count = await file.read(bytes.subarray(length), length);
  return bytes.subarray(0, length);
}
