/**
 * The Loki of the Loki benchmark, a process of its own: entries at an even pace, each at once on the tail, found again by
 * `query_range` and counted. As little work as a server can have, so that it leaves the machine to what is measured.
 *
 * Entry k has the time `start + k / rate`, so time and number are one; its line ends with ` k=K`. The first line on standard output is
 * the port. `GET /bench` answers `Pushed`; `POST /stop` ends the pushing. `--drop S`: a share S of the entries never reaches the tail.
 */
import { parseArgs } from "node:util";
import { kinds } from "./corpus/kind.ts";
import { lineBytesMax } from "./corpus/line.ts";
import { Random } from "./corpus/random.ts";
import { Text } from "./corpus/text.ts";

export interface Pushed {
  /** Entries so far, and the wall time of entry 0 in milliseconds. */
  readonly entries: number;
  readonly startMs: number;
  readonly requests: number;
  readonly answerBytes: number;
  readonly tails: number;
}

const { values } = parseArgs({
  options: { rate: { type: "string", default: "20000" }, streams: { type: "string", default: "50" }, drop: { type: "string", default: "0" } },
});
const rate = Number(values.rate);
const streams = Number(values.streams);
const drop = Number(values.drop);
const stepNs = BigInt(Math.round(1e9 / rate));
const tickMs = 20;
const frameEntries = 100;
/** Older ones are not kept: two minutes are what a gap asks for, with room. */
const keptEntries = 240 * rate;

const sockets = new Set<Bun.ServerWebSocket>();
const pool = linesOf(5000);
const startMs = Date.now();
const startNs = BigInt(startMs) * 1_000_000n;
/** Entries as a tail sends them, by number; those before `first` are gone. */
let kept: string[] = [];
let first = 0;
let pushed = 0;
let stopped = false;
let requests = 0;
let answerBytes = 0;

function linesOf(count: number): string[] {
  const text = new Text(lineBytesMax);
  const line = kinds.access.create(new Random(1));
  return Array.from({ length: count }, (_, index) => {
    text.length = 0;
    line(text, index);
    return JSON.stringify(text.bytes.toString("latin1", 0, text.length).trimEnd()).slice(1, -1);
  });
}

function entryOf(k: number): string {
  const stream = k % streams;
  return `{"stream":{"app":"web","cluster":"eu-west-1","namespace":"shop","pod":"web-${stream}"},"values":[["${startNs + BigInt(k) * stepNs}","${pool[k % pool.length]} k=${k}",{}]]}`;
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, self) {
    const url = new URL(request.url);
    if (url.pathname === "/bench") return Response.json({ entries: pushed, startMs, requests, answerBytes, tails: sockets.size } satisfies Pushed);
    if (url.pathname === "/stop") stopped = true;
    if (url.pathname.endsWith("/tail")) return self.upgrade(request) ? undefined : new Response("Bad Request", { status: 400 });
    const text = answer(url);
    requests++;
    answerBytes += text.length;
    return new Response(text, { headers: { "content-type": "application/json" } });
  },
  websocket: {
    perMessageDeflate: false,
    idleTimeout: 0,
    sendPings: false,
    backpressureLimit: 2 ** 30,
    open: (socket) => void sockets.add(socket),
    message: () => {},
    close: (socket) => void sockets.delete(socket),
  },
});

/** The number of the first entry at or after `ns`. */
function numberAt(ns: bigint): number {
  const steps = (ns - startNs + stepNs - 1n) / stepNs;
  return Math.min(pushed, Math.max(0, Number(steps)));
}

function answer({ pathname, searchParams: params }: URL): string {
  if (!pathname.endsWith("/query_range")) return '{"status":"success","data":[]}';
  const step = Number.parseInt(params.get("step") ?? "0", 10);
  if (step > 0) {
    const points: string[] = [];
    const nsOf = (seconds: number): bigint => BigInt(seconds) * 1_000_000_000n + 1n;
    for (let at = Number(params.get("start")); at <= Number(params.get("end")); at += step) {
      const count = numberAt(nsOf(at)) - numberAt(nsOf(at - step));
      if (count > 0) points.push(`[${at},"${count}"]`);
    }
    const result = points.length === 0 ? "" : `{"metric":{},"values":[${points.join(",")}]}`;
    return `{"status":"success","data":{"resultType":"matrix","result":[${result}]}}`;
  }
  const from = Math.max(first, numberAt(BigInt(params.get("start") ?? 0)));
  const end = Math.min(numberAt(BigInt(params.get("end") ?? 0)), from + Number(params.get("limit")));
  const result = kept.slice(from - first, Math.max(from, end) - first).join(",");
  return `{"status":"success","data":{"resultType":"streams","encodingFlags":["categorize-labels"],"result":[${result}]}}`;
}

function push(): void {
  if (stopped) return;
  const due = Math.floor(((Date.now() - startMs) * rate) / 1000);
  let frame: string[] = [];
  const send = (): void => {
    const text = `{"streams":[${frame.join(",")}],"encodingFlags":["categorize-labels"]}`;
    if (frame.length > 0) for (const socket of sockets) socket.send(text);
    frame = [];
  };
  for (; pushed < due; pushed++) {
    const entry = entryOf(pushed);
    kept.push(entry);
    if (drop === 0 || Math.random() >= drop) frame.push(entry);
    if (frame.length === frameEntries) send();
  }
  send();
  if (kept.length <= keptEntries * 1.25) return;
  first += kept.length - keptEntries;
  kept = kept.slice(-keptEntries);
}

setInterval(push, tickMs);
setInterval(() => {
  for (const socket of sockets) socket.ping();
}, 1000);
console.log(server.port);
// Ends with the benchmark, however that ends.
for await (const _ of Bun.stdin.stream());
process.exit(0);
