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
import { lineBytesMax } from "../../core/limits.ts";
import { Changed, orAborted, type Signals } from "../../core/signals.ts";
import { commonSource } from "../schema.ts";
import { LineCutter } from "./lines.ts";

export const schema = v.strictObject({ type: v.literal("stdin"), ...commonSource });

export type StdinConfig = v.InferOutput<typeof schema>;

export const stdin: SourceKind<StdinConfig> = {
  type: "stdin",
  schema,
  open: (_config, context) => Promise.resolve(new StdinSource(context)),
  check: (): Promise<Finding[]> => Promise.resolve([{ ok: true, what: "read standard input" }]),
};

/** Bytes in flight at most: what a slow commit may hold of a fast pipe. */
const inFlightBytesMax = 4 * 2 ** 20;

class StdinSource implements Source {
  readonly #context: SourceContext;
  #state: SourceStatus["state"] = "starting";
  #inFlightBytes = 0;
  #fault: Error | undefined;
  readonly #settled = new Changed();

  constructor(context: SourceContext) {
    this.#context = context;
  }

  async run(emit: Emit, signals: Signals): Promise<void> {
    this.#state = "running";
    const reader = this.#input().getReader();
    const cutter = new LineCutter(lineBytesMax);
    const send = (pieces: readonly Pick<Chunk, "bytes" | "partial" | "truncated">[]): void => {
      for (const piece of pieces) this.#send(emit, piece);
    };
    try {
      while (!signals.stop.aborted && !signals.kill.aborted && this.#fault === undefined) {
        const got = await orAborted(reader.read(), signals.stop, signals.kill);
        if (got === undefined || got.done) break;
        send(cutter.push(got.value));
        while (this.#inFlightBytes > inFlightBytesMax && !signals.kill.aborted && this.#fault === undefined) await this.#settled.wait(signals.kill);
      }
      send(cutter.end());
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

  #send(emit: Emit, piece: Pick<Chunk, "bytes" | "partial" | "truncated">): void {
    const { byteLength } = piece.bytes;
    this.#inFlightBytes += byteLength;
    void emit({ ...piece, form: "lines", readMs: this.#context.doors.clock.now() })
      .catch((cause: unknown) => {
        this.#fault ??= toError(cause);
      })
      .finally(() => {
        this.#inFlightBytes -= byteLength;
        this.#settled.notify();
      });
  }
}
