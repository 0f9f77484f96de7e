/**
 * What stands around a message: the constant bytes of a record, made once a chunk, and how they are stored.
 *
 *     {"timestamp":"…","host":"…","source":"…","file":"…","offset":  183  ,"partial":true,"labels":{…},"message":"  …  "}
 *     └──────────────────── head ────────────────────────────────┘        └──────────── tail ────────────────┘
 */
import { formatTime } from "./time.ts";

/** Constant bytes, padded to whole words: stored word by word, what is beyond `length` is overwritten by what follows. */
export interface Packed {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly length: number;
}

/** The fields a component gives all its records. */
export interface Fields {
  readonly source: string;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a chunk adds to them. */
export interface Origin {
  readonly readMs: number;
  readonly file?: string;
  readonly offset?: number;
}

const encoder = new TextEncoder();

export function pack(text: string): Packed {
  const plain = encoder.encode(text);
  const words = new Int32Array((plain.length + 3) >> 2);
  const bytes = new Uint8Array(words.buffer);
  bytes.set(plain);
  return { bytes, words, length: plain.length };
}

/** The opening brace to the offset's digits, or to where `tail` goes on when there is no offset. */
export function headOf(fields: Fields, origin: Origin): string {
  const file = origin.file === undefined ? "" : `,"file":${quoted(origin.file)}`;
  const offset = origin.offset === undefined ? "" : `,"offset":`;
  return `{"timestamp":"${formatTime(origin.readMs)}","host":${quoted(fields.host)},"source":${quoted(fields.source)}${file}${offset}`;
}

/** From behind the offset to the value of `content`, without the value. Labels that carry nothing are left out. */
export function tailOf(fields: Fields, flags: { partial: boolean; truncated: boolean }, content: "message" | "data"): string {
  const pairs = Object.entries(fields.labels).map(([name, value]) => `${quoted(name)}:${quoted(value)}`);
  const labels = pairs.length === 0 ? "" : `,"labels":{${pairs.join(",")}}`;
  return `${flags.partial ? `,"partial":true` : ""}${flags.truncated ? `,"truncated":true` : ""}${labels},"${content}":${content === "message" ? `"` : ""}`;
}

/** Text as JSON. A lone surrogate, which no reader takes, becomes U+FFFD. */
function quoted(text: string): string {
  return JSON.stringify(text.toWellFormed());
}
