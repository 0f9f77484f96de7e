/** Bodies of pushes as a Loki takes them: JSON, plain or in gzip, and protobuf in a snappy block; and its words for what it cannot read. */
import { Reader } from "protobufjs/minimal";
import { uncompress } from "snappyjs";
import type { PushedStream } from "./store.ts";

type Value = PushedStream["values"][number];

/** The streams, or why there are none. */
export function streamsOf(headers: Readonly<Record<string, string>>, body: Uint8Array): PushedStream[] | { readonly refusal: string } {
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
  const encoding = headers["content-encoding"] ?? "";
  if (type === "") return { refusal: "mime: no media type\n" };
  if (!["", "gzip", "deflate", "snappy"].includes(encoding)) return { refusal: `Content-Encoding ${JSON.stringify(encoding)} not supported\n` };
  return type === "application/json" ? fromJson(encoding === "gzip" ? Bun.gunzipSync(new Uint8Array(body)) : body) : fromProtobuf(body);
}

function fromJson(bytes: Uint8Array): PushedStream[] | { readonly refusal: string } {
  const text = Buffer.from(bytes).toString("utf8");
  const bad = (words: string): { refusal: string } => ({ refusal: `loghttp.PushRequest.Streams: []loghttp.LogProtoStream: ${words}` });
  let streams: PushedStream[];
  try {
    ({ streams } = JSON.parse(text) as { streams: PushedStream[] });
  } catch {
    return bad(
      `Skip: do not know how to skip: 0, error found in #10 byte of ...|${text.slice(-10)}|..., bigger context ...|${text.slice(-100)}|...\n`,
    );
  }
  if (streams.some(({ values }) => values.some(([time]) => typeof time !== "string")))
    return bad(
      `unmarshalerDecoder: Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol, error found in #10 byte of ...|${text.slice(-12)}|..., bigger context ...|${text.slice(-52)}|...\n`,
    );
  return streams;
}

function fromProtobuf(bytes: Uint8Array): PushedStream[] | { readonly refusal: string } {
  try {
    return Array.from(messages(uncompress(bytes), 1), (stream) => {
      const [labels = new Uint8Array(0)] = messages(stream, 1);
      return { stream: labelsOf(Buffer.from(labels).toString("utf8")), values: messages(stream, 2).map(valueOf) };
    });
  } catch {
    return { refusal: "snappy: corrupt input\n" };
  }
}

/** Fields of a number that hold a length. */
function messages(bytes: Uint8Array, number: number): Uint8Array[] {
  const reader = Reader.create(bytes);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 0) throw new Error("no such field");
    if (tag === ((number << 3) | 2)) found.push(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return found;
}

function valueOf(entry: Uint8Array): Value {
  const [time = new Uint8Array(0)] = messages(entry, 1);
  const [line = new Uint8Array(0)] = messages(entry, 2);
  const reader = Reader.create(time);
  let seconds = 0n;
  let nanos = 0;
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === 8) {
      seconds = BigInt(Number(reader.int64()));
    } else if (tag === 16) nanos = reader.int32();
    else reader.skipType(tag & 7);
  }
  const pairs = messages(entry, 3).map((pair) => [1, 2].map((number) => Buffer.from(messages(pair, number)[0] ?? []).toString("utf8")));
  return [String(seconds * 1_000_000_000n + BigInt(nanos)), Buffer.from(line).toString("utf8"), Object.fromEntries(pairs) as Record<string, string>];
}

/** `{a="b", c="d"}` */
function labelsOf(text: string): Record<string, string> {
  const pairs = [...text.matchAll(/([^{},=\s]+)=("(?:[^"\\]|\\.)*")/g)].map(([, name = "", value = '""']) => [name, JSON.parse(value) as string]);
  return Object.fromEntries(pairs) as Record<string, string>;
}
