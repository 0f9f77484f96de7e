/**
 * Is an object a record of another logferry, and of which stream: `timestamp` in RFC 3339, `host` and `source` text, `labels`
 * (if any) text by name, and nothing in it that a reader stumbles over.
 *
 * Records of one sender come in runs of the same host, source and labels, so the bytes of these are compared with the record
 * before: a constant stream costs no allocation. Others are looked up by their bytes.
 */
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
  readonly #known = new Map<string, Origin | undefined>();
  /** Host, source and labels of the record before, as bytes one after the other. */
  #last: Uint8Array = new Uint8Array(0);
  #lastHost = 0;
  #lastSource = 0;
  #origin: Origin | undefined;

  constructor(fields: StreamFields, from: string) {
    this.#fields = fields;
    this.#from = from;
  }

  /** Where the object comes from that `scan` has just read from `bytes`; undefined when it is no record of ours. */
  originOf(scan: JsonScan, bytes: Uint8Array): Origin | undefined {
    const { timestamp, host, source, labels } = scan;
    if (scan.stumble !== "" || !isText(bytes, timestamp) || !isText(bytes, host) || !isText(bytes, source)) return undefined;
    if (!this.#isLast(bytes, host, source, labels)) this.#look(bytes, host, source, labels);
    return this.#origin;
  }

  #isLast(bytes: Uint8Array, host: Span, source: Span, labels: Span): boolean {
    const last = this.#last;
    const hostBytes = host.end - host.start;
    const sourceBytes = source.end - source.start;
    if (hostBytes !== this.#lastHost || sourceBytes !== this.#lastSource) return false;
    if (last.length !== hostBytes + sourceBytes + labels.end - labels.start) return false;
    return equal(last, 0, bytes, host) && equal(last, hostBytes, bytes, source) && equal(last, hostBytes + sourceBytes, bytes, labels);
  }

  #look(bytes: Uint8Array, host: Span, source: Span, labels: Span): void {
    const parts = [host, source, labels].map((span) => bytes.subarray(Math.max(0, span.start), Math.max(0, span.end)));
    this.#last = Buffer.concat(parts);
    this.#lastHost = host.end - host.start;
    this.#lastSource = source.end - source.start;
    // A quote ends host and source, so that no two combinations give one text.
    const name = decoder.decode(this.#last);
    if (!this.#known.has(name)) {
      if (this.#known.size >= rememberedMax) this.#known.clear();
      this.#known.set(name, this.#make(bytes, host, source, labels));
    }
    this.#origin = this.#known.get(name);
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

function equal(known: Uint8Array, from: number, bytes: Uint8Array, span: Span): boolean {
  for (let at = span.start, index = from; at < span.end; at++, index++) {
    if (known[index] !== bytes[at]) return false;
  }
  return true;
}
