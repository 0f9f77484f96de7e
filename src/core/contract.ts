/**
 * The contracts between the stages. Siblings know each other only from here; the agent hands them over.
 *
 *     source ──chunk──▶ pipeline ──frames──▶ spool ──frames──▶ sink
 *        ▲                                     │                │
 *        └────── emit() resolves: durable ◀────┘   put() resolves: delivered → journal, segments go
 *
 * Acknowledgement is a resolved promise, backpressure an unresolved one. Keys that users see (status) are snake_case.
 */
import type { GenericSchema } from "valibot";
import type { Board } from "./board.ts";
import type { Doors } from "./doors.ts";
import type { FileState, FileStatus } from "./files.ts";
import type { Flow } from "./flow.ts";
import type { Holdings, Received } from "./holdings.ts";
import type { Log } from "./log.ts";
import type { Buffers } from "./pool.ts";
import type { Signals } from "./signals.ts";
import type { Json, PositionDelta, Range } from "./terms.ts";

export type { Json, PositionDelta, Range };

// ── source → pipeline ────────────────────────────────────────────────────────────────────────────────────────────

/** Many records in one buffer, and the position after the last of them. An empty one just moves the position. */
export interface Chunk {
  /** Whole lines: each ends with LF, the last one may lack it. Must not change until `emit` has settled. */
  readonly bytes: Uint8Array;
  /**
   * `lines`: text, one record a line, whatever bytes it holds.
   * `ndjson`: one JSON object a line. Records of another logferry are kept byte for byte, other objects become `data`;
   * a line that is neither makes `emit` reject with a Fault `record_invalid` (poison, `record` = its number), nothing stored.
   */
  readonly form: "lines" | "ndjson";
  /** What `lines` are written in, a name of TextDecoder; left out: UTF-8. Line ends are in it too. */
  readonly encoding?: string;
  /** Wall time of reading, milliseconds. Becomes the record time where the record has none of its own. */
  readonly readMs: number;
  /** Path of the file, and the offset in it of `bytes[0]`. */
  readonly file?: string;
  readonly offset?: number;
  /** The one line of this chunk has no end (its file was rotated away), or was cut at `line_bytes_max`. */
  readonly partial?: boolean;
  readonly truncated?: boolean;
  /** Names that `source` of its records may have, where the sender is bound; else `emit` rejects with a Fault `source_refused` (denied). */
  readonly sources?: ReadonlySet<string>;
  /** Committed in the same group as the records, whole or not at all. */
  readonly position?: PositionDelta;
  /** Instead of `position`, where a record may go on in the next chunk: the pipeline then says what is covered. */
  readonly flow?: Flow;
}

/**
 * Resolves when the chunk is durable. Calls may overlap; chunks become durable in the order of the calls.
 * Rejects with a Fault: `record_invalid` (poison), `source_refused` (denied) or, once the spool was closed under it,
 * `spool_closed` (never).
 */
export type Emit = (chunk: Chunk) => Promise<void>;

export interface Source extends AsyncDisposable {
  /** Reads until `stop`; with `once` until everything that is there now was read. Returns when all it emitted is durable. */
  run(emit: Emit, signals: Signals): Promise<void>;
  /** `filesMax`: of its files as many at most, those first that somebody may have to look at. */
  status(filesMax?: number): SourceStatus;
  /** `lag_bytes` of the status alone, asked for every second: for a source that has much else to say. */
  lagBytes?(): number;
}

/** A source's own part of `/status`; the agent adds type, records, bytes, last_record_time and faults. */
export interface SourceStatus {
  state: "starting" | "running" | "waiting" | "done" | "failed";
  /** Bytes that are there and not yet durable; undefined where it cannot be known. */
  lag_bytes?: number;
  /** Those first that somebody may have to look at; `files_total` counts all, `file_states` by state. */
  files?: FileStatus[];
  files_total?: number;
  file_states?: Partial<Record<FileState, number>>;
  /** What deleted files hold on disk since they are still read, and what was given up unread for `deleted_bytes_max`. */
  deleted_bytes?: number;
  deleted_lost_bytes?: number;
  /** Where a source that serves is reached. */
  listen?: string;
  /** A source that asks a server: everything before it is there (RFC 3339), whether its live connection is up, what it asked, what it knows it lost. */
  complete_to?: string;
  tail?: "up" | "down" | "off";
  requests?: number;
  lost_entries?: number;
  /** The latest declared losses: which minute, which stream, why (a fault code), how many entries. */
  losses?: { minute: string; stream: string; reason: string; entries: number }[];
  /** `off`: the server cannot count what is asked for, so `minutes` is empty and everything is read instead. */
  audit?: "counts" | "off";
  /** What the server counts and what we hold, by minute, as of the last comparison. */
  minutes?: { minute: string; server: number; held: number }[];
}

export interface SourceContext {
  readonly name: string;
  readonly host: string;
  /** Read what is there now, then return from `run`. */
  readonly once: boolean;
  /** What was committed before, by key. */
  readonly positions: ReadonlyMap<string, Json>;
  /** A folder of its own for state too large for a position, which then names how much of its files counts. Not made yet. */
  readonly directory?: string;
  /** False while the spool takes nothing (full, no space): a server then answers 503 instead of waiting. */
  readonly accepting: () => boolean;
  /** The 32 hex digits of the spool's id: how a receiver names itself. */
  readonly spoolId: string;
  /** Read buffers of `readBytes`, shared by all sources: the bound on memory. */
  readonly buffers: Buffers;
  readonly doors: Doors;
  readonly board: Board;
  readonly log: Log;
}

/** A kind of source: everything the rest of the house knows about it. One folder, one line in source/registry.ts. */
export interface SourceKind<Config = unknown> {
  readonly type: string;
  readonly schema: GenericSchema<unknown, Config>;
  open(config: Config, context: SourceContext): Promise<Source>;
  /** `check` without --offline: would it work? Never throws for what it finds. */
  check(config: Config, context: CheckContext): Promise<Finding[]>;
}

// ── pipeline → spool ─────────────────────────────────────────────────────────────────────────────────────────────

/**
 * What the records of a frame have in common: only the fields some sink's partition template or `from` uses.
 * `from` is the source's name in this configuration; `source`, `host` and `labels` are the record's own.
 */
export interface Stream {
  readonly from?: string;
  readonly source?: string;
  readonly host?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Which fields make a stream, from all sinks of the configuration. */
export interface StreamFields {
  readonly from: boolean;
  readonly source: boolean;
  readonly host: boolean;
  readonly labels: readonly string[];
}

/** An open frame: NDJSON is written at `bytes[length]`, then `length` and the counters are moved on. */
export interface OpenFrame {
  readonly bytes: Uint8Array;
  length: number;
  /** Whole records in it. */
  records: number;
  /** Record times, wall milliseconds. */
  minMs: number;
  maxMs: number;
}

/**
 * The open frame of a stream and a record time with at least `roomBytes` free; ask again when it does not do any more.
 * `key` names the stream (equal key, equal stream); the caller makes both once and keeps them.
 */
export type Frames = (key: string, stream: Stream, timeMs: number, roomBytes: number) => OpenFrame;

/** The spool as the agent's `emit` sees it. */
export interface SpoolWriter {
  /**
   * Runs `write` as soon as there is room, strictly in the order of the calls; resolves when what it wrote and `delta` are durable.
   * All of it lands in one commit group. If `write` throws, it must have written nothing; the call rejects with what it threw.
   * A `delta` that depends on what was written is a function: it is asked when `write` has returned.
   */
  append(write: (frames: Frames) => void, source: string, delta?: PositionDelta | (() => PositionDelta | undefined)): Promise<void>;
}

// ── spool → sink ─────────────────────────────────────────────────────────────────────────────────────────────────

/** A committed frame. Sequences are whole numbers that count records for the life of the spool. */
export interface FrameRef {
  readonly segment: number;
  /** Where the payload begins in the segment file. */
  readonly offset: number;
  readonly payloadBytes: number;
  readonly rawBytes: number;
  readonly firstSequence: number;
  readonly records: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Records of several streams: their own fields tell which; `stream` has only `from`. */
  readonly mixed: boolean;
  readonly stream: Stream;
  /** Of a mixed frame, where it is known: what it holds (contents.ts). */
  readonly contents?: Uint8Array;
  /** CRC-32 of the payload. */
  readonly crc: number;
}

/** A run of sequences that is not there: damage has taken it, or (`dropped`) it was given up for room. */
export interface Lost {
  readonly firstSequence: number;
  readonly records: number;
  readonly dropped?: true;
}

/** A piece of the log, in sequence order. */
export type Piece = { readonly frame: FrameRef } | { readonly lost: Lost };

/** The spool as a sink's delivery sees it. Nothing beyond the synced end is ever shown. */
export interface SpoolReader {
  /** 32 hex digits. */
  readonly id: string;
  /** 8 hex digits, new at every open. */
  readonly epoch: string;
  /** Epochs of earlier opens, the latest first, as far as they are remembered. */
  readonly pastEpochs?: readonly string[];
  /** The oldest sequence held, and the one after the newest durable one. */
  firstSequence(): number;
  nextSequence(): number;
  /** Up to `limit` pieces from the one that holds `sequence` on; empty when there is nothing (yet). Rejects with Fault `spool_read_failed` (later). */
  pieces(sequence: number, limit: number): Promise<Piece[]>;
  /** Resolves once `nextSequence() > sequence`, or when a signal is aborted. */
  grown(sequence: number, ...signals: AbortSignal[]): Promise<void>;
  /** The frame's payload, one zstd frame, its CRC checked. Rejects with Fault `spool_frame_corrupt` or `spool_frame_dropped` (never): the records are lost. */
  payload(frame: FrameRef): Promise<Uint8Array>;
  /** True while the spool wants room: open batches are to be closed and shipped now. */
  pressed(): boolean;
  /** This sink holds everything from `sequence` on; what every claim has passed may go. */
  claim(sink: string, sequence: number): void;
  /** There was no space for what a sink must write down: gives up what is kept aside for that. Never rejects. */
  makeRoom?(): Promise<void>;
  /** Raw NDJSON bytes (a measure of lag) held from `sequence` on. */
  bytesFrom(sequence: number): number;
}

export type Codec = "zstd" | "gzip" | "none";

/** What is delivered at once, planned durably before its first byte is sent. A retry has the same of everything. */
export interface Batch {
  /** Counts on in the sink's journal. */
  readonly id: number;
  /** The partition (already expanded, `source=a/date=2026-11-23`), or the lane's number for a sink without partitions. */
  readonly lane: string;
  /** Contiguous within sink, lane and epoch, from 0. */
  readonly number: number;
  /** The epoch of the plan, 8 hex digits. */
  readonly epoch: string;
  /** `{host}-{spool id, 16 hex}-{epoch}-{first}-{last}.ndjson.zst`, sequences padded to 20 digits. */
  readonly name: string;
  readonly ranges: readonly Range[];
  readonly records: number;
  readonly codec: Codec;
  /** Length and SHA-256 (hex) of the body as sent. */
  readonly bytes: number;
  readonly digest: string;
  /**
   * The body, from its start at every call, streamed from the segments; always the same bytes, a frame or member a piece.
   * A piece is the caller's until it asks for the next.
   */
  body(): AsyncIterable<Uint8Array>;
  /** All records of this sink below it have arrived, are lost or not for it, as of now. */
  readonly low?: number;
  /** What the sink wrote down about this batch (an upload id), also before a restart. */
  readonly note: Json | undefined;
  /** Writes it down durably. */
  setNote(note: Json): Promise<void>;
}

/** Records of a delivered batch that the far side refused for good, one by one: declared loss. */
export interface Refusals {
  /** How many, by a stable word: `too_old`. */
  readonly reasons: Readonly<Record<string, number>>;
  /** One of them, and the far side's own words. */
  readonly example: string;
}

/** `forked`: the far side holds something else under this name; the batch is planned anew in a new epoch. */
export interface Receipt {
  readonly outcome: "delivered" | "forked";
  readonly refused?: Refusals;
  /** What the sink wants to know after a restart, written down together with this delivery. */
  readonly state?: Json;
}

export interface Sink extends AsyncDisposable {
  /** Delivers the batch or rejects with a Fault (`later`, `denied`, `poison`); never retries by itself. `kill` cuts it. */
  put(batch: Batch, signals: Signals): Promise<Receipt>;
  /** Frames one body may have: some receivers decode only the first. Asked again for every plan; undefined = any number. */
  framesMax?(): number | undefined;
  readonly holdings?: Holdings;
  /**
   * Asks a far side that keeps no objects what it has taken under `epochs`, those this spool has had; undefined when it cannot
   * tell. Rejects as `put` does.
   */
  received?(epochs: readonly string[], kill: AbortSignal): Promise<Received | undefined>;
  /**
   * Whether the far side has taken exactly this batch, asked when its body cannot be made any more and it may have arrived before;
   * false where that cannot be told. Left out: `holdings` tells. Rejects as `put` does.
   */
  has?(batch: Batch, kill: AbortSignal): Promise<boolean>;
}

export interface SinkContext {
  /** As the receipt of the last delivery said, an earlier process's too. */
  readonly state?: Json | undefined;
  readonly name: string;
  readonly host: string;
  readonly spoolId: string;
  readonly doors: Doors;
  readonly board: Board;
  readonly log: Log;
}

/** How batches are made and retried, the same for every sink. */
export interface Delivery {
  /** Sources by name; undefined = all. */
  readonly from?: readonly string[];
  /** Template such as `date=%Y-%m-%d/hour=%H` and its IANA zone; without it there are `concurrency` lanes. */
  readonly partition?: { readonly template: string; readonly zone: string };
  readonly codec: Codec;
  readonly bytesMax: number;
  readonly ageMsMax: number;
  readonly retryMsMin: number;
  readonly retryMsMax: number;
  readonly concurrency: number;
  readonly start: "oldest" | "now";
  /** False: rather than filling the spool it loses its oldest, beyond `holdBytes` on disk (default: once the spool is full). */
  readonly required?: boolean;
  readonly holdBytes?: number;
}

/** A kind of sink. One folder, one line in sink/registry.ts. */
export interface SinkKind<Config = unknown> {
  readonly type: string;
  readonly schema: GenericSchema<unknown, Config>;
  delivery(config: Config): Delivery;
  open(config: Config, context: SinkContext): Promise<Sink>;
  check(config: Config, context: CheckContext): Promise<Finding[]>;
}

/** A sink's part of `/status`. Times are RFC 3339; undefined where there was none yet. */
export interface SinkStatus {
  type: string;
  state: "running" | "retrying" | "denied" | "stopped";
  /** All records up to and with this one have arrived; -1 when none has. */
  delivered_sequence: number;
  records: number;
  bytes: number;
  lag_records: number;
  lag_bytes: number;
  oldest_undelivered_time?: string;
  batches: number;
  retries: number;
  dead: number;
  /** Records the spool gave up before this sink had them, as far as it has come to know. */
  dropped_records?: number;
  /** Records the far side refused for good, which were given up: all of them, and by reason. */
  refused_records?: number;
  refused_reasons?: Record<string, number>;
  last_success_time?: string;
  last_fault?: { code: string; message: string; hint: string; time: string };
}

export interface SpoolStatus {
  bytes: number;
  max_bytes: number;
  segments: number;
  first_sequence: number;
  last_sequence: number;
  oldest_record_time?: string;
  /** Why it takes nothing now, `""` while it does. */
  paused: "" | "full" | "no_space" | "failing";
  /** Given up for room since the start of the process, though some sink had not confirmed them; bytes are NDJSON. */
  dropped_records?: number;
  dropped_bytes?: number;
}

// ── check ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface CheckContext {
  readonly name: string;
  readonly host: string;
  readonly doors: Doors;
}

/** What `check` found when it asked the component itself. */
export interface Finding {
  readonly ok: boolean;
  /** What was tried: `write and remove an object in bucket logs`. */
  readonly what: string;
  /** When not ok: the fault's code, the reason, and what to do. With ok it is advice: it works, and may not do all that was meant. */
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}
