/**
 * The encoder of one source: chunks in, NDJSON records out, written straight into the spool's open frames.
 *
 * Each record is one line of valid JSON in UTF-8, whatever bytes came in:
 *
 *     {"timestamp":"2026-11-23T01:30:20.590123Z","host":"edge-1","source":"nginx","file":"/var/log/nginx/access.log",
 *      "offset":183,"partial":true,"truncated":true,"labels":{"env":"prod"},"message":"…"}
 *
 * Fields that carry nothing are left out. `timestamp` is when the chunk was read.
 */
import { assert } from "../core/assert.ts";
import type { Chunk, Frames, PositionDelta, StreamFields } from "../core/contract.ts";
import type { LineKeys } from "../core/format.ts";
import { lineBytesMax as lineBytesDefault } from "../core/limits.ts";
import { checkSource } from "./bound.ts";
import { createFormatEncoder, FormatEncoder } from "./format/encoder.ts";
import { FrameWriter } from "./frame.ts";
import { fastestLoops, plainLoops } from "./kernel/kernel.ts";
import { LineEncoder, type LinesOptions } from "./lines.ts";
import { NdjsonEncoder } from "./ndjson.ts";
import { nameStream } from "./stream.ts";

export interface EncoderOptions {
  /** The source's name in the configuration: `source` of its records, and `from` of their streams. */
  readonly name: string;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What makes a stream, from all sinks of the configuration. */
  readonly fields: StreamFields;
  /** Longer lines of text are cut, in bytes as they come (in their encoding), without their end. Default 1 MiB, at least 4 (one character). */
  readonly lineBytesMax?: number;
  /** Default keep: an empty line is a record with an empty message. */
  readonly emptyLines?: "keep" | "skip";
  /** What lines of text are; left out: plain ones. */
  readonly keys?: LineKeys;
  /** Lines of text go by the fastest loop this machine can run (the default), or by the plain one: the same bytes. */
  readonly loop?: "fastest" | "plain";
}

/** What one chunk came to. */
export interface Encoded {
  records: number;
  /** Records that held bytes that are not UTF-8, or not in the chunk's encoding, now U+FFFD. */
  invalidUtf8: number;
  /** Runs of NUL bytes before lines, left out. */
  nulRuns?: number;
  /** Records cut at `lineBytesMax`, here or by the source. */
  truncated: number;
  /** JSON objects kept as text, since some reader would stumble over them. */
  keptAsText: number;
  /** Records whose own time is too far from the read time to choose a partition. */
  timeRejected: number;
  /** Lines that are not in their source's format, kept as text. */
  mismatched?: number;
  /** Records whose time could not be read in the line. */
  timeUnread?: number;
  /** Events ended by a bound. */
  split?: number;
  /** Of a chunk with a flow: what is to be committed with it. */
  position?: PositionDelta | undefined;
  /** Time of the last record, wall milliseconds; undefined when there is none. */
  lastMs: number | undefined;
}

export interface Encoder {
  /**
   * Writes the records of `chunk` into frames. Synchronous; `chunk.bytes` is not needed afterwards.
   * Throws before anything is written: Fault `record_invalid` (poison, form `ndjson`), or `source_refused` (denied) when the chunk
   * names the sources it may bring; `record` = the line's number from 1.
   */
  encode(chunk: Chunk, frames: Frames): Encoded;
}

export function createEncoder(options: EncoderOptions): Encoder {
  const { name, host, labels, fields, lineBytesMax = lineBytesDefault, emptyLines = "keep", loop = "fastest" } = options;
  assert(lineBytesMax >= 4, "a line must have room for one character");
  const loops = loop === "plain" ? plainLoops : fastestLoops();
  const lines: LinesOptions = {
    fields: { source: name, host, labels },
    stream: nameStream(fields, name, name, host, labels),
    lineBytesMax,
    skipEmpty: emptyLines === "skip",
    encodeRun: loops.lines,
    kernel: loops.records,
  };
  const ndjson = new NdjsonEncoder(lines, fields);
  const formatted = options.keys === undefined ? undefined : createFormatEncoder(options.keys, lines);
  let foreign = formatted;
  return {
    encode(chunk, frames) {
      const writer = new FrameWriter(frames);
      if (chunk.form === "ndjson") return { invalidUtf8: 0, truncated: 0, ...ndjson.encode(chunk, writer) };
      checkSource(chunk, name, 1);
      if (formatted !== undefined) return formatted.encode(chunk, writer);
      // Plain lines in another encoding go the way of formats: line by line, in UTF-8.
      if (chunk.encoding !== undefined) return (foreign ??= new FormatEncoder({}, lines)).encode(chunk, writer);
      const encoder = new LineEncoder(lines, chunk, writer);
      encoder.encode(chunk.bytes);
      const lastMs = encoder.counts.records === 0 ? undefined : chunk.readMs;
      const position = chunk.flow?.cover(chunk.flow.placeAt(chunk.bytes.length), undefined);
      return { keptAsText: 0, timeRejected: 0, lastMs, position, ...encoder.counts };
    },
  };
}
