/**
 * A push as Loki reads it: protobuf in a snappy block (`PushRequest` of pkg/push/push.proto), or JSON in gzip. Equal entries give equal bytes.
 * Imported when a sink is opened: the libraries are of no use to anybody else.
 *
 *     PushRequest { 1: Stream { 1: labels, 2: Entry { 1: Timestamp { 1: seconds, 2: nanos }, 2: line, 3: { 1: name, 2: value } … } … } … }
 */
import { Writer } from "protobufjs/minimal";
import { compress as snappy } from "snappyjs";
import type { Compress } from "../../core/compress.ts";
import { giveBack } from "../../core/lend.ts";
import type { Entry } from "./record.ts";
import type { Stream } from "./stream.ts";
import { nsText } from "./time.ts";

export type Encoding = "protobuf" | "json";

export interface Push {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

const gzipLevel = 1;
/** Field number and wire type of what holds a length, and of a number. */
const field = (index: number): number => (index << 3) | 2;
const number = (index: number): number => index << 3;

/** `streams` with their entries in order. */
export async function encode(streams: ReadonlyMap<Stream, readonly Entry[]>, encoding: Encoding, compress: Compress): Promise<Push> {
  if (encoding === "protobuf") {
    const plain = protobuf(streams);
    // Of a Buffer the library gives a part of a larger one.
    const body = snappy(new Uint8Array(plain.buffer, plain.byteOffset, plain.byteLength));
    giveBack(plain);
    return { body, headers: { "Content-Type": "application/x-protobuf" } };
  }
  const body = await compress.gzip(Buffer.from(json(streams)), gzipLevel);
  return { body, headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" } };
}

function protobuf(streams: ReadonlyMap<Stream, readonly Entry[]>): Uint8Array {
  const writer = Writer.create();
  for (const [stream, entries] of streams) {
    writer.uint32(field(1)).fork().uint32(field(1)).string(stream.text);
    for (const { seconds, nanos, line, metadata } of entries) {
      writer.uint32(field(2)).fork();
      writer.uint32(field(1)).fork().uint32(number(1)).int64(seconds).uint32(number(2)).int32(nanos).ldelim();
      writer.uint32(field(2)).bytes(line);
      for (let at = 0; at < metadata.length; at += 2) {
        writer
          .uint32(field(3))
          .fork()
          .uint32(field(1))
          .string(metadata[at] ?? "")
          .uint32(field(2))
          .string(metadata[at + 1] ?? "")
          .ldelim();
      }
      writer.ldelim();
    }
    writer.ldelim();
  }
  return writer.finish();
}

function json(streams: ReadonlyMap<Stream, readonly Entry[]>): string {
  const shown = [...streams].map(([{ labels }, entries]) => ({ stream: labels, values: entries.map(valueOf) }));
  return JSON.stringify({ streams: shown });
}

function valueOf({ seconds, nanos, line, metadata }: Entry): unknown[] {
  const pairs = Object.fromEntries(metadata.flatMap((name, at) => (at % 2 === 0 ? [[name, metadata[at + 1] ?? ""]] : [])));
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString("utf8");
  return metadata.length === 0 ? [nsText({ seconds, nanos }), text] : [nsText({ seconds, nanos }), text, pairs];
}
