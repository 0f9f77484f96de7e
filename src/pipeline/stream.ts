/** Streams: the fields that some sink's partition template or `from` uses, under a key that is equal when they are. */
import type { Stream, StreamFields } from "../core/contract.ts";
import type { NamedStream } from "./frame.ts";

/** The stream of records with these values; labels that a record lacks are left out. */
export function nameStream(fields: StreamFields, from: string, source: string, host: string, labels: Readonly<Record<string, string>>): NamedStream {
  const used = fields.labels.filter((name) => Object.hasOwn(labels, name)).map((name) => [name, labels[name] ?? ""] as const);
  const stream: Stream = {
    ...(fields.from ? { from } : {}),
    ...(fields.source ? { source } : {}),
    ...(fields.host ? { host } : {}),
    ...(used.length === 0 ? {} : { labels: Object.fromEntries(used) }),
  };
  const key = JSON.stringify([stream.from ?? null, stream.source ?? null, stream.host ?? null, ...used]);
  return { key, stream };
}
