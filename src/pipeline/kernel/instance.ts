/** The kernel's module as it runs: its exports, its one memory, and what of a chunk is copied into it at a time. */
import { kernelModule } from "./module.ts";

/** What lines.as.ts and records.as.ts export: their places and the sizes of these, and their functions. */
export interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly headBytesMax: Constant;
  readonly tailBytesMax: Constant;
  readonly inputBytesMax: Constant;
  readonly outputBytesMax: Constant;
  readonly escapes: Constant;
  readonly escapeBytes: Constant;
  readonly head: Constant;
  readonly tail: Constant;
  readonly input: Constant;
  readonly output: Constant;
  readonly result: Constant;
  readonly openBytesMax: Constant;
  readonly open: Constant;
  readonly timeTextBytesMax: Constant;
  readonly timePrefix: Constant;
  readonly timeSuffix: Constant;
  readonly timeAfter: Constant;
  readonly wantedMax: Constant;
  readonly wanted: Constant;
  readonly rowsMax: Constant;
  readonly table: Constant;
  lines(
    from: number,
    to: number,
    limit: number,
    headBytes: number,
    tailBytes: number,
    high: number,
    low: number,
    lineBytesMax: number,
    skipEmpty: number,
  ): void;
  text(from: number, to: number): number;
  shape(openBytes: number, headBytes: number, tailBytes: number, lineBytesMax: number, content: number, quarterMinute: number, byKey: number): void;
  readTexts(prefixBytes: number, suffixBytes: number, afterBytes: number, separator: number, firstMinute: number): void;
  readCounts(below: number, afterBytes: number, firstSecond: number): void;
  lookFor(count: number): void;
  records(from: number, to: number, limit: number, high: number, low: number): void;
  rows(from: number, to: number): void;
}

interface Constant {
  readonly value: number;
}

const LF = 10;

/** Undefined where the machine cannot run it. */
export function instantiate(module: Uint8Array<ArrayBuffer> = Uint8Array.fromBase64(kernelModule)): Exports | undefined {
  try {
    return new WebAssembly.Instance(new WebAssembly.Module(module), {}).exports as unknown as Exports;
  } catch {
    // Whatever the reason, the plain loop does the same: a host must not go without its logs for want of a vector.
    return undefined;
  }
}

/** Where the lines of `bytes[from, to)` end that fit into `bytesMax` together; `from` when not even the first one does. */
export function pieceEnd(bytes: Uint8Array, from: number, to: number, bytesMax: number): number {
  if (to - from <= bytesMax) return to;
  return Math.max(from, bytes.lastIndexOf(LF, from + bytesMax - 1) + 1);
}
