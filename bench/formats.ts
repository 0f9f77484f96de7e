/**
 * What a format, a time or events cost: lines to NDJSON in frames that nobody compresses, MB of input for a second of CPU, beside the same
 * without the kernel, and the same lines taken as plain text.
 */
import { frameBytes, readBytes } from "../src/core/limits.ts";
import type { OpenFrame } from "../src/core/contract.ts";
import type { LineKeys } from "../src/core/format.ts";
import { createEncoder } from "../src/pipeline/encoder.ts";
import { median, megabyte, type Plan } from "./bench.ts";
import { kinds } from "./corpus/kind.ts";
import { lineBytesMax } from "./corpus/line.ts";
import { Random } from "./corpus/random.ts";
import { Text } from "./corpus/text.ts";

export interface Formatting {
  readonly name: string;
  readonly input_mb_per_s: number;
  /** Without the kernel. */
  readonly slow_mb_per_s: number;
  /** As plain lines, with the kernel. */
  readonly plain_mb_per_s: number;
}

const inputBytes = 32 * 1024 * 1024;
/** Day and hour of the corpora's readings do not matter; the times in the lines must be near. */
const readMs = Date.UTC(2026, 10, 23, 1, 30, 20);
const bounds = { lines_max: 1000, bytes_max: 2 ** 20, timeout: 2000 };

interface Case {
  readonly name: string;
  readonly keys: LineKeys;
  /** NDJSON that was sent, and not lines of a file. */
  readonly sent?: boolean;
  /** Line `n`, from a line of the access log. */
  readonly line: (access: string, n: number) => string;
}

const second = (n: number): string => `2026-11-23T01:30:${String(n % 60).padStart(2, "0")}`;
const json = (access: string, n: number): string =>
  JSON.stringify({
    time: `${second(n)}.123456Z`,
    level: "info",
    status: 200 + (n % 300),
    bytes: n,
    request: access.slice(0, 120),
    tags: ["a", "b"],
    user: { id: n },
  });
const own = (access: string, n: number): string =>
  JSON.stringify({ timestamp: `${second(n)}.123456Z`, host: "edge-1", source: "nginx", offset: n, labels: { env: "prod" }, message: access });
const logfmt = (access: string, n: number): string =>
  `time=${second(n)}Z level=info status=${200 + (n % 300)} bytes=${n} msg="request done \\"fast\\"" path=/a/b/${n} agent="${access.slice(-60).replaceAll('"', "")}"`;
const docker = (access: string, n: number): string => JSON.stringify({ log: `${access}\n`, stream: "stdout", time: `${second(n)}.123456789Z` });
const cri = (access: string, n: number): string => `${second(n)}.123456789Z stdout F ${access}`;
/** One line in ten is followed by a stack trace of nine. */
const java = (access: string, n: number): string =>
  n % 19 < 10 ? `${second(n).replace("T", " ")},123 INFO ${access}` : `\tat com.example.app.service.RequestHandler.handle(RequestHandler.java:${n})`;

const cases: readonly Case[] = [
  { name: "json", keys: { format: "json" }, line: json },
  { name: "json as text", keys: { format: "json", data_as: "string" }, line: json },
  { name: "json with time", keys: { format: "json", timestamp: { format: "rfc3339", key: "time" } }, line: json },
  { name: "ndjson of another sender", keys: {}, line: json, sent: true },
  { name: "ndjson of another logferry", keys: {}, line: own, sent: true },
  { name: "logfmt", keys: { format: "logfmt" }, line: logfmt },
  { name: "cri", keys: { format: "cri" }, line: cri },
  { name: "docker", keys: { format: "docker" }, line: docker },
  { name: "plain with time, rfc3339", keys: { timestamp: { format: "rfc3339" } }, line: (access, n) => `${second(n)}.123456Z ${access}` },
  { name: "plain with time, syslog", keys: { timestamp: { format: "syslog" } }, line: (access, n) => `Nov 23 ${second(n).slice(11)} ${access}` },
  { name: "plain with time, epoch_ms", keys: { timestamp: { format: "epoch_ms" } }, line: (access, n) => `${readMs - (n % 60_000)} ${access}` },
  { name: "plain with time, clf", keys: { timestamp: { format: "clf" } }, line: (access) => access },
  {
    name: "plain with time, pattern and zone",
    keys: { timestamp: { format: "%Y-%m-%d %H:%M:%S,%f", zone: "Europe/Berlin" } },
    line: (access, n) => `${second(n).replace("T", " ")},123 ${access}`,
  },
  { name: "java stack traces", keys: { multiline: { preset: "java", ...bounds } }, line: java },
  { name: "events by a pattern", keys: { multiline: { start: "^\\d{4}-", ...bounds } }, line: java },
  {
    name: "cri with java stack traces",
    keys: { format: "cri", multiline: { preset: "java", ...bounds } },
    line: (access, n) => cri(java(access, n), n),
  },
];

/** Medians over rounds, each format and its plain reading in turn, after one that warms the compiler up. */
export function formatting(plan: Plan): Formatting[] {
  return cases.map(({ name, keys, line, sent = false }) => {
    plan.note(`format ${name}`);
    const chunks = chunksOf(line);
    const form = sent ? "ndjson" : "lines";
    const rounds = Array.from({ length: Math.max(3, plan.runs) + 1 }, () => {
      return [round(chunks, form, keys, "fastest"), round(chunks, form, keys, "plain"), round(chunks, "lines", {}, "fastest")] as const;
    }).slice(1);
    const [input_mb_per_s, slow_mb_per_s, plain_mb_per_s] = ([0, 1, 2] as const).map((index) => median(rounds.map((each) => each[index]))) as [
      number,
      number,
      number,
    ];
    return { name, input_mb_per_s, slow_mb_per_s, plain_mb_per_s };
  });
}

function chunksOf(line: Case["line"]): Buffer[] {
  const write = kinds.access.create(new Random(1));
  const text = new Text(readBytes + lineBytesMax);
  const chunks: Buffer[] = [];
  for (let [n, made] = [0, 0]; made < inputBytes;) {
    const lines: string[] = [];
    for (let bytes = 0; bytes < readBytes - 2048; n++) {
      text.clear();
      write(text, n);
      const one = line(text.taken().toString().trimEnd(), n);
      lines.push(one);
      bytes += one.length + 1;
    }
    const chunk = Buffer.from(`${lines.join("\n")}\n`);
    made += chunk.length;
    chunks.push(chunk);
  }
  return chunks;
}

/** MB for a second of CPU. */
function round(chunks: readonly Buffer[], form: "lines" | "ndjson", keys: LineKeys, loop: "fastest" | "plain"): number {
  const fields = { from: false, source: false, host: false, labels: [] };
  const encoder = createEncoder({ name: "bench", host: "bench", labels: {}, fields, keys, loop });
  const frame: OpenFrame = { bytes: new Uint8Array(frameBytes), length: 0, records: 0, minMs: 0, maxMs: 0 };
  const frames = (_key: string, _stream: object, _timeMs: number, roomBytes: number): OpenFrame => {
    if (frame.bytes.length - frame.length < roomBytes) frame.length = 0;
    return frame;
  };
  let input = 0;
  const began = process.cpuUsage();
  for (const bytes of chunks) {
    const start = input;
    const flow = { key: "file", start, end: false, placeAt: () => 0, cover: () => ({}) };
    encoder.encode({ bytes, form, readMs, file: "/var/log/app.log", offset: start, flow }, frames);
    input += bytes.length;
  }
  const used = process.cpuUsage(began);
  return input / megabyte / ((used.user + used.system) / 1e6);
}
