/**
 * What a decoded body holds: its form by `Content-Type`, in UTF-8 without a byte order mark, JSON laid out as one object a line.
 *
 * Programs that post logs are not careful with the type: `curl --data-binary` calls everything a form. So without a type, and
 * for the types that say nothing, the first character decides: `{` or `[` is JSON, everything else is text.
 */
import { refuse } from "./answer.ts";
import { layOut } from "./layout.ts";

/** What the runtime's decoder can be asked for. */
type Charset = NonNullable<ConstructorParameters<typeof TextDecoder>[0]>;

export interface Content {
  readonly form: "lines" | "ndjson";
  readonly bytes: Uint8Array;
  /** It was one JSON array: its elements are counted as lines. */
  readonly array: boolean;
}

type Kind = "ndjson" | "json" | "text" | "unknown";

const kinds: Readonly<Record<string, Kind>> = {
  "": "unknown",
  "application/x-www-form-urlencoded": "unknown",
  "application/octet-stream": "unknown",
  "application/json": "json",
  "text/json": "json",
  "application/x-ndjson": "ndjson",
  "application/ndjson": "ndjson",
  "application/x-jsonlines": "ndjson",
  "application/jsonlines": "ndjson",
  "application/jsonl": "ndjson",
  "application/x-json-stream": "ndjson",
  "application/stream+json": "ndjson",
};

/** Kind and character set that a `Content-Type` names, or the refusal of one that is not known here. */
export function typeOf(header: string | null): { kind: Kind; charset: Charset } | Response {
  const [essence = "", ...parameters] = (header ?? "").toLowerCase().split(";");
  const type = essence.trim();
  const charset = /^\s*charset\s*=\s*"?([^"\s]+)"?/.exec(parameters.find((parameter) => /^\s*charset\s*=/.test(parameter)) ?? "")?.[1] ?? "utf-8";
  const kind = kinds[type] ?? (type.startsWith("text/") ? "text" : type.endsWith("+json") ? "json" : undefined);
  const hint = "send application/x-ndjson, application/json or text/plain, in UTF-8 or another charset that browsers know";
  if (kind === undefined)
    return refuse({ status: 415, code: "http_type_unsupported", error: `content-type ${type.slice(0, 60)} is not known here`, hint });
  if (!isCharset(charset))
    return refuse({ status: 415, code: "http_type_unsupported", error: `charset ${charset.slice(0, 60)} is not known here`, hint });
  return { kind, charset };
}

/** The content of `body`; JSON is laid out in place, so `body` must not be used afterwards. */
export function contentOf(body: Uint8Array, { kind, charset }: { kind: Kind; charset: Charset }): Content {
  const bytes = toUtf8(body, charset);
  const first = bytes.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  const decided = kind !== "unknown" ? kind : first === 0x7b || first === 0x5b ? "json" : "text";
  if (decided === "text") return { form: "lines", bytes, array: false };
  if (decided === "ndjson") return { form: "ndjson", bytes, array: false };
  return { form: "ndjson", bytes, array: layOut(bytes) };
}

function toUtf8(body: Uint8Array, charset: Charset): Uint8Array {
  const marked = body[0] === 0xff && body[1] === 0xfe ? "utf-16le" : body[0] === 0xfe && body[1] === 0xff ? "utf-16be" : charset;
  const decoder = new TextDecoder(marked);
  if (decoder.encoding === "utf-8") return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
  return new TextEncoder().encode(decoder.decode(body));
}

function isCharset(name: string): name is Charset {
  try {
    return new TextDecoder(name as Charset).encoding !== "";
  } catch {
    return false;
  }
}
