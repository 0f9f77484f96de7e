/**
 * Is an object a record of another logferry, and of which stream: `timestamp` in RFC 3339, `host` and `source` text, `labels`
 * (if any) text by name, and nothing in it that a reader stumbles over.
 *
 * The streams of records are looked up by the bytes of these: only one that is new costs an allocation.
 */
import { ByteMap } from "../core/bytemap.ts";
import type { StreamFields } from "../core/contract.ts";
import type { JsonScan, Span } from "../core/json.ts";
import type { NamedStream } from "./frame.ts";
import { nameStream } from "./stream.ts";

/** Distinct combinations remembered: 1,000 senders of four streams each. Beyond, all are forgotten and made anew. */
const rememberedMax = 4096;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The stream of a record of ours, and its `source`. */
export interface Origin {
  readonly named: NamedStream;
  readonly source: string;
}

export class OwnRecords {
  readonly #fields: StreamFields;
  readonly #from: string;
  readonly #known = new ByteMap<Origin | undefined>(rememberedMax);

  constructor(fields: StreamFields, from: string) {
    this.#fields = fields;
    this.#from = from;
  }

  /** Where the object comes from that `scan` has just read from `bytes`; undefined when it is no record of ours. */
  originOf(scan: JsonScan, bytes: Uint8Array): Origin | undefined {
    const { timestamp, host, source, labels } = scan;
    if (scan.stumble !== "" || !isText(bytes, timestamp) || !isText(bytes, host) || !isText(bytes, source)) return undefined;
    // A quote ends host and source, so that no two combinations give the same bytes.
    return this.#known.get(bytes, host, source, labels, () => this.#make(bytes, host, source, labels));
  }

  #make(bytes: Uint8Array, host: Span, source: Span, labels: Span): Origin | undefined {
    const pairs = labels.start < 0 ? {} : valueOf(bytes, labels);
    if (!isTexts(pairs)) return undefined;
    const name = String(valueOf(bytes, source));
    return { named: nameStream(this.#fields, this.#from, name, String(valueOf(bytes, host)), pairs), source: name };
  }
}

function isText(bytes: Uint8Array, span: Span): boolean {
  return span.start >= 0 && bytes[span.start] === 0x22;
}

function isTexts(value: unknown): value is Record<string, string> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.values(value).every((text) => typeof text === "string");
}

function valueOf(bytes: Uint8Array, span: Span): unknown {
  return JSON.parse(decoder.decode(bytes.subarray(span.start, span.end)));
}
