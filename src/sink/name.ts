/**
 * Names of batches, which say who planned them and which records they hold:
 *
 *     {host}-{spool id, first 16 hex}-{epoch of the plan, 8 hex}-{first sequence}-{last sequence}.ndjson[.zst|.gz]
 *
 * Sequences are padded to 20 digits, so that names sort. The host is percent-encoded and may hold dashes: a name is read from its end.
 */
import type { Codec, Range } from "../core/contract.ts";
import { encodeValue } from "./partition.ts";

const suffixes = { zstd: ".ndjson.zst", gzip: ".ndjson.gz", none: ".ndjson" } as const;

export function batchName(host: string, spoolId: string, epoch: string, batch: { readonly ranges: readonly Range[]; readonly codec: Codec }): string {
  const padded = (sequence: number | undefined): string => String(sequence ?? 0).padStart(20, "0");
  const { ranges, codec } = batch;
  return `${encodeValue(host, true)}-${spoolId.slice(0, 16)}-${epoch}-${padded(ranges[0]?.[0])}-${padded(ranges.at(-1)?.[1])}${suffixes[codec]}`;
}

export interface ParsedName {
  /** First 16 hex digits of the spool's id. */
  readonly spool: string;
  readonly epoch: string;
  readonly first: number;
  readonly last: number;
  readonly codec: Codec;
}

/** Undefined when it is no name of a batch. */
export function parseName(name: string): ParsedName | undefined {
  const match = /-([0-9a-f]{16})-([0-9a-f]{8})-(\d{20})-(\d{20})\.ndjson(\.zst|\.gz)?$/.exec(name);
  if (match === null || match.index === 0) return undefined;
  const [, spool = "", epoch = "", from, to, ending] = match;
  const first = Number(from);
  const last = Number(to);
  if (!Number.isSafeInteger(last) || first > last) return undefined;
  return { spool, epoch, first, last, codec: ending === ".zst" ? "zstd" : ending === ".gz" ? "gzip" : "none" };
}
