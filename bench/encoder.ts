/** The pipeline's encoder alone: chunks of lines to NDJSON in frames that nobody compresses; MB for a second of CPU. */
import { createEncoder } from "../src/pipeline/encoder.ts";
import { frameBytes, readBytes } from "../src/core/limits.ts";
import type { OpenFrame } from "../src/core/contract.ts";
import { median, type Plan } from "./bench.ts";
import { kinds, lineBytesMax, type KindName } from "./corpus/kind.ts";
import { Random } from "./corpus/random.ts";
import { Text } from "./corpus/text.ts";

export interface Encoding {
  readonly kind: KindName;
  readonly input_mb_per_s: number;
  readonly output_mb_per_s: number;
}

const inputBytes = 64 * 1024 * 1024;

/** Medians over rounds of 64 MiB, after one that warms the compiler up. */
export function encode(plan: Plan, kind: KindName): Encoding {
  plan.note(`encoder ${kind}`);
  const chunks = chunksOf(kind);
  const rounds = Array.from({ length: Math.max(5, plan.runs) + 1 }, () => round(chunks)).slice(1);
  return {
    kind,
    input_mb_per_s: median(rounds.map(({ input, seconds }) => input / 1e6 / seconds)),
    output_mb_per_s: median(rounds.map(({ output, seconds }) => output / 1e6 / seconds)),
  };
}

function chunksOf(kind: KindName): Buffer[] {
  const line = kinds[kind].create(new Random(1));
  const chunks: Buffer[] = [];
  const text = new Text(readBytes + lineBytesMax);
  for (let [sequence, bytes] = [0, 0]; bytes < inputBytes; bytes += text.length) {
    text.clear();
    while (text.length < readBytes - lineBytesMax) line(text, sequence++);
    chunks.push(Buffer.from(text.taken()));
  }
  return chunks;
}

function round(chunks: readonly Buffer[]): { input: number; output: number; seconds: number } {
  const fields = { from: false, source: false, host: false, labels: [] };
  const encoder = createEncoder({ name: "bench", host: "bench", labels: {}, fields });
  const frame: OpenFrame = { bytes: new Uint8Array(frameBytes), length: 0, records: 0, minMs: 0, maxMs: 0 };
  let [input, output] = [0, 0];
  const frames = (_key: string, _stream: object, _timeMs: number, roomBytes: number): OpenFrame => {
    if (frame.bytes.length - frame.length < roomBytes) {
      output += frame.length;
      frame.length = 0;
    }
    return frame;
  };
  // Of the CPU and not of the wall: other work on the machine would count otherwise.
  const began = process.cpuUsage();
  for (const bytes of chunks) {
    encoder.encode({ bytes, form: "lines", readMs: Date.now(), file: "/var/log/nginx/access.log", offset: input }, frames);
    input += bytes.length;
  }
  const used = process.cpuUsage(began);
  return { input, output: output + frame.length, seconds: (used.user + used.system) / 1e6 };
}
