/**
 * The kernel as the encoder sees it: what ../loop.ts does, byte for byte, in a memory of its own of 192 KiB.
 *
 * Pieces of the chunk are copied in and records copied out. Both copies stay in the processor's second cache: records written
 * straight into frames that lie in the kernel's memory were 6 to 12 % faster, and every frame and its growth would have had
 * to live there. All encoders share the one memory, since each call is done with it when it returns.
 */
import { hexDigit, shortEscape, special } from "../escape.ts";
import { slackBytes } from "../frame.ts";
import { close, digitsMax, encodeRun, store, storeDigits, type EncodeRun, type Run } from "../loop.ts";
import { instantiate, pieceEnd, type Exports } from "./instance.ts";
import { RecordsKernel } from "./records.ts";

const LF = 10;
const CR = 13;
/** The kernel counts an offset's lower eight digits. */
const lowUnit = 1e8;
/** A line cannot be longer than the input; the bound is a 32-bit number there. */
const lineBytesAny = 0x7fffffff;

/** Ways from lines to records. */
export interface Loops {
  readonly lines: EncodeRun;
  /** Of lines that are more than plain text; undefined: one by one, as the format's encoder does it. */
  readonly records: RecordsKernel | undefined;
}

/** The kernel, or undefined where the machine cannot run it: no vectors, no WebAssembly, no address space for it. */
export function openKernel(module?: Uint8Array<ArrayBuffer>): (Loops & { readonly records: RecordsKernel }) | undefined {
  const exports = instantiate(module);
  if (exports === undefined) return undefined;
  const kernel = new Kernel(exports);
  return { lines: (run) => kernel.encode(run), records: new RecordsKernel(exports) };
}

export const plainLoops: Loops = { lines: encodeRun, records: undefined };
let fastest: Loops | undefined;

/** The fastest ways from lines to records that this machine can go: the kernel, or else the plain loop. */
export function fastestLoops(): Loops {
  return (fastest ??= openKernel() ?? plainLoops);
}

class Kernel {
  readonly #exports: Exports;
  readonly #bytes: Uint8Array;
  readonly #result: Int32Array;
  readonly #headBytesMax: number;
  readonly #tailBytesMax: number;
  readonly #head: number;
  readonly #tail: number;
  readonly #input: number;
  readonly #inputBytesMax: number;
  readonly #output: number;
  readonly #outputBytesMax: number;

  constructor(exports: Exports) {
    this.#exports = exports;
    this.#bytes = new Uint8Array(exports.memory.buffer);
    this.#result = new Int32Array(exports.memory.buffer, exports.result.value, 3);
    this.#headBytesMax = exports.headBytesMax.value;
    this.#tailBytesMax = exports.tailBytesMax.value;
    this.#head = exports.head.value;
    this.#tail = exports.tail.value;
    this.#input = exports.input.value;
    this.#inputBytesMax = exports.inputBytesMax.value;
    this.#output = exports.output.value;
    this.#outputBytesMax = exports.outputBytesMax.value;
    for (let byte = 0; byte < 256; byte++) {
      const escape = escapeOf(byte);
      this.#bytes.set(escape, exports.escapes.value + 8 * byte);
      this.#bytes[exports.escapeBytes.value + byte] = escape.length;
    }
  }

  encode(run: Run): void {
    const { head, tail } = run;
    if (head.length > this.#headBytesMax || tail.length > this.#tailBytesMax) {
      encodeRun(run);
      return;
    }
    this.#bytes.set(head.bytes, this.#head);
    this.#bytes.set(tail.bytes, this.#tail);
    run.next = run.from;
    run.records = 0;
    for (let going = true; going && run.next < run.to;) {
      const end = pieceEnd(run.bytes, run.next, run.to, this.#inputBytesMax);
      going = end > run.next ? this.#piece(run, end) : this.#long(run);
    }
  }

  /** Encodes the whole lines before `to`, which fit into the input. False when a line is too long or the frame full. */
  #piece(run: Run, to: number): boolean {
    const memory = this.#bytes;
    const from = run.next;
    const end = this.#input + to - from;
    memory.set(run.bytes.subarray(from, to), this.#input);
    memory[end] = LF;
    for (let at = this.#input; at < end;) {
      const free = limitOf(run) - run.end;
      this.#lines(run, at, end, this.#output + Math.min(free, this.#outputBytesMax), at - this.#input + from);
      const next = this.#result[0] as number;
      const written = this.#result[1] as number;
      // A line that is too long, or no room; but a record larger than the output may fit into the frame.
      if (next === at) return free > this.#outputBytesMax && plain(run);
      run.out.set(memory.subarray(this.#output, written), run.end);
      run.end += written - this.#output;
      run.records += this.#result[2] as number;
      run.next += next - at;
      at = next;
    }
    return true;
  }

  #lines({ base, head, tail, lineBytesMax, skipEmpty }: Run, from: number, to: number, limit: number, index: number): void {
    const offset = base === undefined ? -1 : base + index;
    const high = Math.floor(offset / lowUnit);
    const low = base === undefined ? 0 : offset - high * lowUnit;
    const longest = Math.min(lineBytesMax, lineBytesAny);
    this.#exports.lines(from, to, limit, head.length, tail.length, high, low, longest, skipEmpty ? 1 : 0);
  }

  /** Encodes the line at `run.next`, which is longer than the input. False, and nothing done, when it is too long or has no room. */
  #long(run: Run): boolean {
    const { bytes, base, head, tail, out, outView } = run;
    const limit = limitOf(run);
    const start = run.next;
    const end = lineEnd(run, start);
    const ending = end < run.to ? 1 : 0;
    const carriage = ending === 1 && bytes[end - 1] === CR ? 1 : 0;
    if (end - start - carriage > run.lineBytesMax || run.end + head.length + digitsMax + tail.length > limit) return false;
    let o = store(outView, run.end, head);
    if (base !== undefined) o = storeDigits(out, o, base + start);
    o = store(outView, o, tail);
    // A byte becomes at most six.
    const step = Math.floor(this.#outputBytesMax / 6);
    for (let at = start; at < end; at += step) {
      const written = this.#text(bytes.subarray(at, Math.min(at + step, end)));
      if (o + written.length > limit) return false;
      out.set(written, o);
      o += written.length;
    }
    run.end = close(out, o - 2 * carriage);
    run.next = end + ending;
    run.records++;
    return true;
  }

  #text(bytes: Uint8Array): Uint8Array {
    const end = this.#input + bytes.length;
    this.#bytes.set(bytes, this.#input);
    this.#bytes[end] = LF;
    return this.#bytes.subarray(this.#output, this.#exports.text(this.#input, end));
  }
}

/** Where the line at `start` ends, its LF left out. */
function lineEnd({ bytes, to }: Run, start: number): number {
  const found = bytes.indexOf(LF, start);
  return found < 0 || found > to ? to : found;
}

/** The line at `run.next` by the plain loop; false when it is too long or has no room. */
function plain(run: Run): boolean {
  const to = Math.min(lineEnd(run, run.next) + 1, run.to);
  const line = { ...run, from: run.next, to };
  encodeRun(line);
  run.end = line.end;
  run.records += line.records;
  run.next = line.next;
  return line.records > 0;
}

/** Where no record may end beyond. */
function limitOf({ out }: Run): number {
  return out.length - slackBytes;
}

function escapeOf(byte: number): Uint8Array {
  if (special[byte] === 0) return Uint8Array.of(byte);
  const letter = shortEscape[byte] ?? 0;
  if (letter !== 0) return Uint8Array.of(0x5c, letter);
  return Uint8Array.of(0x5c, 0x75, 0x30, 0x30, hexDigit[byte >> 4] ?? 0, hexDigit[byte & 15] ?? 0);
}
