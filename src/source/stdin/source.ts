/**
 * The `stdin` source: lines from standard input until it ends, then `run` returns.
 *
 * A pipe has no place to go back to, so there is no position: what was read and is not durable yet when the process is
 * killed is lost, and the writer does not learn of it. Whoever needs more than that writes a file and uses `file`. While the
 * spool takes nothing we do not read, and the pipe holds the writer back. A last line without an end is a record, `partial`.
 */
import * as v from "valibot";
import { assert } from "../../core/assert.ts";
import type { Chunk, Emit, Finding, Source, SourceContext, SourceKind, SourceStatus } from "../../core/contract.ts";
import { Fault, toError } from "../../core/fault.ts";
import { spanTimeout } from "../../core/format.ts";
import { lineBytesMax } from "../../core/limits.ts";
import { Changed, orAborted, type Signals } from "../../core/signals.ts";
import { keyedTime, lineEntries } from "../lines.ts";
import { commonSource } from "../schema.ts";
import { LineCutter, type Lines } from "./lines.ts";

export const schema = v.pipe(
  v.strictObject({ type: v.literal("stdin"), ...commonSource, ...lineEntries }),
  v.forward(v.partialCheck(keyedTime.keys, keyedTime.holds, keyedTime.message), ["timestamp"]),
);

export type StdinConfig = v.InferOutput<typeof schema>;

export const stdin: SourceKind<StdinConfig> = {
  type: "stdin",
  schema,
  open: (config, context) => Promise.resolve(new StdinSource(context, spanTimeout(config))),
  check: (): Promise<Finding[]> => Promise.resolve([{ ok: true, what: "read standard input" }]),
};

/** Bytes in flight at most: what a slow commit may hold of a fast pipe. */
const inFlightBytesMax = 4 * 2 ** 20;

class StdinSource implements Source {
  readonly #context: SourceContext;
  /** Milliseconds of silence that end a record of several lines; undefined: every line is one. */
  readonly #silenceMs: number | undefined;
  /** Bytes of lines handed on; and whether a record may have been begun by the last of them. */
  #sentBytes = 0;
  #begun = false;
  #state: SourceStatus["state"] = "starting";
  #inFlightBytes = 0;
  #fault: Error | undefined;
  readonly #settled = new Changed();

  constructor(context: SourceContext, silenceMs: number | undefined) {
    this.#context = context;
    this.#silenceMs = silenceMs;
  }

  async run(emit: Emit, signals: Signals): Promise<void> {
    this.#state = "running";
    const reader = this.#input().getReader();
    const cutter = new LineCutter(lineBytesMax);
    const send = (pieces: readonly Lines[]): void => {
      for (const piece of pieces) this.#send(emit, piece, piece.partial === true);
    };
    try {
      while (!signals.stop.aborted && !signals.kill.aborted && this.#fault === undefined) {
        const reading = reader.read();
        if (await this.#silent(reading, signals)) this.#end(emit);
        const got = await orAborted(reading, signals.stop, signals.kill);
        if (got === undefined || got.done) break;
        send(cutter.push(got.value));
        while (this.#inFlightBytes > inFlightBytesMax && !signals.kill.aborted && this.#fault === undefined) await this.#settled.wait(signals.kill);
      }
      send(cutter.end());
      this.#end(emit);
      while (this.#inFlightBytes > 0 && !signals.kill.aborted) await this.#settled.wait(signals.kill);
    } finally {
      this.#state = "done";
      reader.cancel().catch(() => {}); // what is still in the pipe is not ours any more
    }
    if (this.#fault === undefined || (this.#fault instanceof Fault && this.#fault.code === "spool_closed")) return;
    this.#state = "failed";
    throw this.#fault;
  }

  #input(): ReadableStream<Uint8Array> {
    const input = this.#context.doors.disk.input?.();
    assert(input !== undefined, "the disk door has no standard input");
    return input;
  }

  status(): SourceStatus {
    return { state: this.#state };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** True when a record of several lines waits for more and nothing has come for so long. */
  async #silent(reading: Promise<unknown>, { stop, kill }: Signals): Promise<boolean> {
    if (this.#silenceMs === undefined || !this.#begun) return false;
    const over = new AbortController();
    const silence = this.#context.doors.clock.sleep(this.#silenceMs, stop, kill, over.signal).then(() => !over.signal.aborted);
    try {
      return await Promise.race([reading.then(() => false), silence]);
    } finally {
      over.abort();
    }
  }

  /** What was begun of a record is all of it. */
  #end(emit: Emit): void {
    if (this.#begun) this.#send(emit, { bytes: new Uint8Array(0) }, true);
  }

  /** Without a position: a pipe has none. */
  #flow(bytes: number, end: boolean): Pick<Chunk, "flow"> {
    if (this.#silenceMs === undefined) return {};
    const start = this.#sentBytes;
    this.#sentBytes += bytes;
    this.#begun = !end;
    return { flow: { key: "stdin", start, end, placeAt: () => undefined, cover: () => ({}) } };
  }

  #send(emit: Emit, piece: Lines, end: boolean): void {
    const { byteLength } = piece.bytes;
    this.#inFlightBytes += byteLength;
    void emit({ ...piece, ...this.#flow(byteLength, end), form: "lines", readMs: this.#context.doors.clock.now() })
      .catch((cause: unknown) => {
        this.#fault ??= toError(cause);
      })
      .finally(() => {
        this.#inFlightBytes -= byteLength;
        this.#settled.notify();
      });
  }
}
