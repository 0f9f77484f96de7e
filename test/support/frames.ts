/** The spool's side of the pipeline in memory: frames that keep what was written, so that a test can read the records. */
import { expect } from "bun:test";
import type { Frames, OpenFrame, Stream } from "../../src/core/contract.ts";
import { quarterMs } from "../../src/core/limits.ts";

export interface CollectedFrame extends OpenFrame {
  readonly key: string;
  readonly stream: Stream;
  readonly quarter: number;
}

export interface Collected {
  readonly frames: Frames;
  /** All frames ever opened, in order. */
  readonly opened: CollectedFrame[];
  /** Every record as parsed JSON, in the order of the frames. Checks that counters and line ends agree. */
  records(): Record<string, unknown>[];
  /** The bytes of all frames, one after the other. */
  bytes(): Buffer;
}

/** Frames of `frameBytes`, larger only for one giant record; one frame is open at a time, as strictly as the contract allows. */
export function collectFrames(frameBytes = 1024 * 1024): Collected {
  const opened: CollectedFrame[] = [];
  const frames: Frames = (key, stream, timeMs, roomBytes) => {
    const quarter = Math.floor(timeMs / quarterMs);
    const last = opened.at(-1);
    if (last?.key === key && last.quarter === quarter && last.bytes.length - last.length >= roomBytes) return last;
    const bytes = new Uint8Array(Math.max(frameBytes, roomBytes)).fill(0x21);
    const frame = { key, stream, quarter, bytes, length: 0, records: 0, minMs: Infinity, maxMs: -Infinity };
    opened.push(frame);
    return frame;
  };
  const bytes = (): Buffer => Buffer.concat(opened.map((frame) => frame.bytes.subarray(0, frame.length)));
  return {
    frames,
    opened,
    bytes,
    records() {
      const lines = bytes().toString("utf8").split("\n");
      expect(lines.pop()).toBe("");
      expect(lines.length).toBe(opened.reduce((sum, frame) => sum + frame.records, 0));
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    },
  };
}
