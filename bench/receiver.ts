/**
 * The far end of the HTTP benchmarks, a process of its own: counts bodies, bytes and `Logferry-Records` and answers 204. Decodes
 * nothing, so that it costs the machine as little as a receiver can; with `--marker TEXT` it decodes and keeps a tally.
 *
 * The first line on standard output is its port. `GET /count` answers `Received`; `POST /reset` starts from zero. As an S3 bucket
 * it is good enough for the idle benchmark: a PUT has an ETag, a listing is empty.
 */
import { parseArgs } from "node:util";
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

async function take(request: Request): Promise<Response> {
  const body = await request.bytes();
  count.requests++;
  count.bytes += body.byteLength;
  count.records += Number(request.headers.get("logferry-records") ?? 0);
  count.marks.push([Date.now(), count.records]);
  count.tally?.addLines(Buffer.from(request.headers.get("content-encoding") === "zstd" ? await Bun.zstdDecompress(body) : body));
  return request.method === "PUT"
    ? new Response(null, { status: 200, headers: { etag: '"00000000000000000000000000000000"' } })
    : new Response(null, { status: 204 });
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
  return take(request);
}

const server = Bun.serve({ hostname: "127.0.0.1", port: 0, maxRequestBodySize: 2 ** 30, fetch: answer });
console.log(server.port);
// Ends with the benchmark, however that ends.
for await (const _ of Bun.stdin.stream());
process.exit(0);
