/**
 * The far end of the HTTP benchmarks, a process of its own: counts bodies, bytes and `Logferry-Records` and answers 204. Decodes
 * nothing, so that it costs the machine as little as a receiver can; with `--marker TEXT` it decodes and keeps a tally.
 *
 * A push to Loki says nothing of its records, so its entries are counted: that takes about as much CPU as to make it.
 *
 * The first line on standard output is its port. `GET /count` answers `Received`; `POST /reset` starts from zero. As an S3 bucket
 * it is good enough for the idle benchmark: a PUT has an ETag, a listing is empty.
 */
import { parseArgs } from "node:util";
import { Reader } from "protobufjs/minimal";
import { uncompress } from "snappyjs";
import { Tally, type Verdict } from "./corpus/tally.ts";

export interface Received {
  readonly requests: number;
  readonly bytes: number;
  readonly records: number;
  /** Wall milliseconds and the records that had arrived by then, one pair a request. */
  readonly marks: readonly (readonly [ms: number, records: number])[];
  readonly tally?: Verdict;
}

const { values } = parseArgs({ options: { marker: { type: "string" } } });
const emptyListing = `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><KeyCount>0</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>`;

let count = zero();

function zero() {
  const tally = values.marker === undefined ? undefined : new Tally(values.marker);
  return { requests: 0, bytes: 0, records: 0, marks: [] as [number, number][], tally };
}

async function take(request: Request, pushed: boolean): Promise<Response> {
  const body = await request.bytes();
  count.requests++;
  count.bytes += body.byteLength;
  if (pushed) return takePush(body);
  count.records += Number(request.headers.get("logferry-records") ?? 0);
  count.marks.push([Date.now(), count.records]);
  count.tally?.addLines(Buffer.from(request.headers.get("content-encoding") === "zstd" ? await Bun.zstdDecompress(body) : body));
  return request.method === "PUT"
    ? new Response(null, { status: 200, headers: { etag: '"00000000000000000000000000000000"' } })
    : new Response(null, { status: 204 });
}

/** `PushRequest { 1: Stream { 2: Entry { 2: line } } }` */
function takePush(body: Uint8Array): Response {
  for (const stream of fieldsOf(uncompress(body), 1)) {
    const entries = fieldsOf(stream, 2);
    count.records += entries.length;
    if (count.tally !== undefined) for (const entry of entries) count.tally.addLines(Buffer.concat([...fieldsOf(entry, 2), Buffer.from("\n")]));
  }
  count.marks.push([Date.now(), count.records]);
  return new Response(null, { status: 204 });
}

function fieldsOf(bytes: Uint8Array, number: number): Uint8Array[] {
  const reader = Reader.create(bytes);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag === ((number << 3) | 2)) found.push(reader.bytes());
    else reader.skipType(tag & 7);
  }
  return found;
}

function answer(request: Request): Response | Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/reset") {
    count = zero();
    return new Response(null, { status: 204 });
  }
  if (request.method === "GET" && pathname === "/count")
    return Response.json({ ...count, tally: count.tally?.verdict(Number(new URL(request.url).searchParams.get("lines"))) });
  if (request.method === "GET") return new Response(emptyListing, { headers: { "content-type": "application/xml" } });
  if (request.method === "HEAD") return new Response(null, { status: 404 });
  return take(request, pathname === "/loki/api/v1/push");
}

const server = Bun.serve({ hostname: "127.0.0.1", port: 0, maxRequestBodySize: 2 ** 30, fetch: answer });
console.log(server.port);
// Ends with the benchmark, however that ends.
for await (const _ of Bun.stdin.stream());
process.exit(0);
