/**
 * The pipeline's encoder alone: chunks of lines to NDJSON in frames that nobody compresses; MB for a second of CPU, by the kernel
 * and by the plain loop in turn.
 */
import { createEncoder, type EncoderOptions } from "../src/pipeline/encoder.ts";
import { frameBytes, readBytes } from "../src/core/limits.ts";
import type { OpenFrame } from "../src/core/contract.ts";
import { median, type Plan } from "./bench.ts";
import { kinds, type KindName } from "./corpus/kind.ts";
import { lineBytesMax } from "./corpus/line.ts";
import { Random } from "./corpus/random.ts";
import { Text } from "./corpus/text.ts";

export interface Encoding {
  readonly kind: KindName;
  readonly input_mb_per_s: number;
  readonly output_mb_per_s: number;
  /** Input, where the machine cannot run the kernel. */
  readonly plain_mb_per_s: number;
}

const inputBytes = 64 * 1024 * 1024;

/** Medians over rounds of 64 MiB of each, after one that warms the compiler up. */
export function encode(plan: Plan, kind: KindName): Encoding {
  plan.note(`encoder ${kind}`);
  const chunks = chunksOf(kind, inputBytes);
  const rounds = Array.from({ length: Math.max(5, plan.runs) + 1 }, () => [round(chunks, "fastest"), round(chunks, "plain")] as const).slice(1);
  return {
    kind,
    input_mb_per_s: median(rounds.map(([{ input, seconds }]) => input / 1e6 / seconds)),
    output_mb_per_s: median(rounds.map(([{ output, seconds }]) => output / 1e6 / seconds)),
    plain_mb_per_s: median(rounds.map(([, { input, seconds }]) => input / 1e6 / seconds)),
  };
}

/** `bytes` or a little more of lines, in chunks as a source reads them. */
export function chunksOf(kind: KindName, bytes: number): Buffer[] {
  const line = kinds[kind].create(new Random(1));
  const chunks: Buffer[] = [];
  const text = new Text(readBytes + lineBytesMax);
  for (let [sequence, made] = [0, 0]; made < bytes; made += text.length) {
    text.clear();
    while (text.length < readBytes - lineBytesMax) line(text, sequence++);
    const chunk = Buffer.from(text.taken());
    chunks.push(chunk);
  }
  return chunks;
}

/** Encodes all chunks, as a file that is read from its start. */
export function round(chunks: readonly Buffer[], loop: NonNullable<EncoderOptions["loop"]>): { input: number; output: number; seconds: number } {
  const fields = { from: false, source: false, host: false, labels: [] };
  const encoder = createEncoder({ name: "bench", host: "bench", labels: {}, fields, loop });
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
