/**
 * A sink's journal: one append-only file, cursor and ledger in one, that says what was planned and what has arrived.
 *
 *     file  = line*
 *     line  = crc32 of the JSON (8 hex digits) " " JSON "\n"
 *     head  = {"kind":"head","format":1,"written_by":"0.1.0","sink":"lake","spool":"32 hex digits"}     the first line
 *     entry = {"kind":"opened"|"passed"|"had"|"rewound"|"planned"|"note"|"cancelled"|"delivered", …}                    see ledger.ts
 *
 * Promises:
 * - `append` resolves when the entries are synced; only then does the ledger know them. Appends that come while a sync is
 *   under way share the next write and the next sync.
 * - No space: the fault is raised and the append tried again, for as long as it takes. A failed sync is a failure, since
 *   the page cache lies after it: all that is known is then written to a new file, which takes the place of the old one.
 * - A new file (that, and compaction) is a temporary one, synced, renamed, its folder synced.
 *
 * What a crash can leave: a torn tail. It is cut off; nothing in it was acted upon. A damaged line before a whole one is
 * rot: counted (`journal_damaged`), the file kept beside as `.damaged`, and the rest read on (see ledger.ts for what that costs).
 * A file without one entry that says how far the sink was holds the sink: to begin anew would deliver all of it twice.
 * Nothing is written at opening; the first append writes a new file, so that a full disk holds no start.
 */
import { dirname } from "node:path";
import type { Clock } from "../core/clock.ts";
import type { Disk, DiskFile } from "../core/disk.ts";
import { Fault, isNoSpace } from "../core/fault.ts";
import type { Random } from "../core/random.ts";
import { backoffMs } from "../core/retry.ts";
import { version } from "../core/version.ts";
import { entryText, Ledger, parseEntry, type Entry } from "./ledger.ts";

const formatNewest = 1;

/** Compact once this much was appended and it is mostly history: a fleet of small batches (300 bytes each) does it every 1,700. */
const compactBytes = 1024 * 1024;

/** Compaction keeps a journal at a few MiB; a file this long is none of ours and is not read into memory. */
const journalBytesMax = 256 * 1024 * 1024;

const retryMsMin = 250;
const retryMsMax = 10_000;

export interface JournalOptions {
  readonly path: string;
  readonly sink: string;
  readonly spoolId: string;
  readonly doors: { readonly disk: Disk; readonly clock: Clock; readonly random: Random };
  /** A write failed and is tried again (`journal_no_space`, `journal_write_failed`); undefined: it works again. */
  readonly onFault: (fault: Fault | undefined) => void;
  /** There was no space for a write, which is tried again: whoever has something to give up for it is asked first. */
  readonly makeRoom?: () => Promise<void>;
  /** Somebody else's journal, perhaps in use: a damaged one is not kept beside, and nothing must be appended. */
  readonly onlyRead?: true;
}

interface Pending {
  readonly entries: readonly Entry[];
  readonly resolve: () => void;
  readonly reject: (fault: Fault) => void;
}

export class Journal {
  readonly ledger = new Ledger();
  /** There was no journal: the sink is new to this spool. Its first append must say where it begins (`passed`). */
  isNew = true;
  /** The spool's id in the head, when it is not this spool's: the spool was copied from there. */
  copiedFrom: string | undefined;
  /** Damaged lines found at opening. */
  damaged = 0;

  readonly #options: JournalOptions;
  #file: DiskFile | undefined;
  /** Synced bytes of the file, and what of it a new file would have had when it was made. */
  #bytes = 0;
  #bytesCompact = 0;
  /** An entry said how far the sink was. */
  #positioned = false;
  #pending: Pending[] = [];
  #flushing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  private constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Reads what is there. Rejects with Fault `journal_format_unknown`, `journal_damaged` (never) or `journal_unreadable` (later). */
  static async open(options: JournalOptions): Promise<Journal> {
    const journal = new Journal(options);
    const { disk } = options.doors;
    try {
      if ((await disk.stat(options.path)) !== undefined) {
        await using file = await disk.open(options.path, "read");
        const { bytes: size } = await file.stat();
        if (size > journalBytesMax) throw unusable(options.path, "longer than any journal");
        const bytes = new Uint8Array(size);
        let at = 0;
        for (let count = -1; count !== 0 && at < bytes.byteLength; at += count) count = await file.read(bytes.subarray(at), at);
        journal.#replay(bytes.subarray(0, at));
        journal.isNew = false;
      }
      if (journal.damaged > 0 && options.onlyRead === undefined) {
        await disk.remove(`${options.path}.damaged`);
        await disk.link(options.path, `${options.path}.damaged`).catch(() => {}); // for people to look at; nothing depends on it
      }
    } catch (cause) {
      if (cause instanceof Fault) throw cause;
      throw new Fault({
        code: "journal_unreadable",
        retry: "later",
        message: `read journal ${options.path}`,
        hint: "let the user logferry runs as read and write the spool's folder",
        cause,
      });
    }
    return journal;
  }

  #replay(bytes: Uint8Array): void {
    let bad = 0;
    for (let at = 0; at < bytes.byteLength;) {
      const found = bytes.indexOf(10, at);
      const json = found < 0 ? undefined : parseLine(bytes.subarray(at, found));
      at = found < 0 ? bytes.byteLength : found + 1;
      if (json !== undefined && this.#take(json)) {
        // Only what stands before a whole line is rot; what no whole line follows is a torn tail.
        this.damaged += bad;
        bad = 0;
      } else bad++;
    }
    if (this.#positioned) return;
    throw unusable(this.#options.path, "no whole entry in it");
  }

  /** False when the line is none of ours. */
  #take(json: object): boolean {
    if (!("kind" in json)) return false;
    if (json.kind === "head") {
      const head = json as { format?: unknown; written_by?: unknown; spool?: unknown };
      if (typeof head.format === "number" && head.format > formatNewest) {
        throw new Fault({
          code: "journal_format_unknown",
          retry: "never",
          message: `read journal ${this.#options.path}: format ${head.format}, written by logferry ${String(head.written_by)}`,
          hint: "run that version or a newer one",
        });
      }
      if (typeof head.spool === "string" && head.spool !== this.#options.spoolId) this.copiedFrom = head.spool;
      return true;
    }
    const entry = parseEntry(json);
    if (entry === undefined) return false;
    this.ledger.apply(entry);
    if (entry.kind === "passed" || entry.kind === "delivered") this.#positioned = true;
    return true;
  }

  /** Makes the journal of a sink that begins at `low`, with what more is known. Tried once, and once more where room was made: rejects with Fault `journal_no_space` or `journal_write_failed`. */
  async create(low: number, ...more: Entry[]): Promise<void> {
    const entries: Entry[] = [{ kind: "passed", low, forgotten: low - 1 }, ...more];
    try {
      await this.#rewrite(entries).catch(async (cause: unknown) => {
        if (!isNoSpace(cause) || this.#options.makeRoom === undefined) throw cause;
        await this.#options.makeRoom();
        await this.#rewrite(entries);
      });
    } catch (cause) {
      throw writeFault(this.#options.path, cause);
    }
  }

  /** Resolves when the entries are durable and in the ledger. Rejects with Fault `journal_closed` (never) after `close`. */
  append(...entries: Entry[]): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(closed());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ entries, resolve, reject });
    this.#flushing ??= this.#flush();
    return promise;
  }

  async #flush(): Promise<void> {
    // Let the callers of this turn gather: they share the sync.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const group = this.#pending;
      this.#pending = [];
      const written = await this.#writeUntilDone(group.flatMap((pending) => pending.entries));
      for (const pending of group) {
        if (written) pending.resolve();
        else pending.reject(closed());
      }
    }
    this.#flushing = undefined;
  }

  /** False when the journal was closed before it worked. */
  async #writeUntilDone(entries: readonly Entry[]): Promise<boolean> {
    const { doors, onFault } = this.#options;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#write(entries);
        if (attempt > 0) onFault(undefined);
        return true;
      } catch (cause) {
        onFault(writeFault(this.#options.path, cause));
        if (isNoSpace(cause)) await this.#options.makeRoom?.();
        if (this.#closing.signal.aborted) return false;
        await doors.clock.sleep(
          backoffMs(attempt, retryMsMin, retryMsMax, () => doors.random.next()),
          this.#closing.signal,
        );
      }
    }
  }

  async #write(entries: readonly Entry[]): Promise<void> {
    const grown = this.#bytes - this.#bytesCompact;
    if (this.#file === undefined) return this.#rewrite(entries);
    if (grown > compactBytes && grown > this.#bytesCompact) await this.#compact();
    const file = this.#file;
    if (file === undefined) return this.#rewrite(entries);
    const lines = toLines(entries.map(entryText));
    try {
      await file.write([lines], this.#bytes);
      await file.datasync();
    } catch (cause) {
      // A write that found no space is repeated in its place; after anything else the file is not to be trusted.
      if (!isNoSpace(cause)) await this.#abandonFile();
      throw cause;
    }
    this.#bytes += lines.byteLength;
    for (const entry of entries) this.ledger.apply(entry);
  }

  /** No space for a second file is no reason to stop: the old one goes on, and the next try comes when as much was appended again. */
  async #compact(): Promise<void> {
    try {
      await this.#rewrite([]);
    } catch (cause) {
      if (!isNoSpace(cause)) throw cause;
      this.#bytesCompact = this.#bytes;
    }
  }

  /** Writes all that is known and `entries` to a new file in the place of the old one. */
  async #rewrite(entries: readonly Entry[]): Promise<void> {
    const { path, sink, spoolId, doors } = this.#options;
    const temporary = `${path}.tmp`;
    const head = JSON.stringify({ kind: "head", format: formatNewest, written_by: version, sink, spool: spoolId });
    const lines = toLines([head, ...[...this.ledger.snapshot(), ...entries].map(entryText)]);
    await doors.disk.remove(temporary);
    const file = await doors.disk.open(temporary, "create");
    let placed = false;
    try {
      await file.write([lines], 0);
      await file.datasync();
      placed = true;
      await doors.disk.rename(temporary, path);
      await doors.disk.syncDirectory(dirname(path));
    } catch (cause) {
      await file.close().catch(() => {}); // the fault at hand is the one to tell
      // The name may lead to either file now: neither may be built on.
      if (placed) await this.#abandonFile();
      throw cause;
    }
    await this.#abandonFile();
    this.#file = file;
    this.#bytes = lines.byteLength;
    this.#bytesCompact = lines.byteLength;
    for (const entry of entries) this.ledger.apply(entry);
  }

  async #abandonFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {}); // nothing is expected of it any more
  }

  /** Writes what is under way, gives up what would have to be tried again. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#flushing;
    await this.#abandonFile();
  }
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

function toLines(jsons: readonly string[]): Uint8Array {
  return utf8.encode(jsons.map((json) => `${Bun.hash.crc32(json).toString(16).padStart(8, "0")} ${json}\n`).join(""));
}

/** The JSON of a line without its line end; undefined when the line is not whole. */
export function parseLine(line: Uint8Array): object | undefined {
  const json = line.subarray(9);
  const sum = Bun.hash.crc32(json).toString(16).padStart(8, "0");
  if (line.byteLength < 11 || text.decode(line.subarray(0, 9)) !== `${sum} `) return undefined;
  try {
    const parsed: unknown = JSON.parse(text.decode(json));
    return typeof parsed === "object" && parsed !== null ? parsed : undefined;
  } catch {
    return undefined; // a checksum that fits by chance
  }
}

function writeFault(path: string, cause: unknown): Fault {
  const message = `write journal ${path}`;
  if (isNoSpace(cause))
    return new Fault({
      code: "journal_no_space",
      retry: "later",
      message,
      hint: "free space on the spool's disk; shipping goes on by itself",
      cause,
    });
  return new Fault({
    code: "journal_write_failed",
    retry: "later",
    message,
    hint: "look at the spool's disk and the rights on its folder; shipping waits for it",
    cause,
  });
}

function unusable(path: string, why: string): Fault {
  return new Fault({
    code: "journal_damaged",
    retry: "never",
    message: `read journal ${path}: ${why}`,
    hint: "it is made anew from what the far side has; check the disk",
  });
}

const closed = (): Fault => new Fault({ code: "journal_closed", retry: "never", message: "write journal: closed" });
