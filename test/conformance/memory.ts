/**
 * A spool in memory that keeps the promises of `emit` and checks those of its caller.
 *
 * Chunks are committed in the order of the calls, in groups, some time after the call. What was emitted must not change until
 * its promise settles; positions move only with the data of their group. `close` is a kill: what is not committed is gone.
 */
import type { Chunk, Emit, Json, PositionDelta } from "../../src/core/contract.ts";
import type { Flow } from "../../src/core/flow.ts";
import { Fault } from "../../src/core/fault.ts";

export interface Line {
  readonly text: string;
  readonly file: string | undefined;
  readonly offset: number | undefined;
  readonly partial: boolean;
  readonly truncated: boolean;
}

interface Pending {
  readonly chunk: Chunk;
  readonly digest: bigint;
  readonly done: PromiseWithResolvers<void>;
}

export class MemorySpool {
  readonly lines: Line[] = [];
  readonly positions: Map<string, Json>;
  /** What went wrong on the caller's side. */
  readonly broken: string[] = [];
  /** Emits so far, and bytes handed over whose emit has not settled, now and at most. */
  emits = 0;
  bytesInFlight = 0;
  bytesInFlightMax = 0;
  #pending: Pending[] = [];
  #committing = false;
  #held = false;
  #closed = false;
  readonly #commitMs: number;

  /** Goes on after `before`, with its records and positions. */
  constructor(before?: MemorySpool, commitMs = 5) {
    this.positions = new Map(before?.positions);
    this.lines.push(...(before?.lines ?? []));
    this.#commitMs = commitMs;
  }

  readonly emit: Emit = (chunk) => {
    this.emits++;
    if (this.#closed) return Promise.reject(closed());
    const done = Promise.withResolvers<void>();
    this.#pending.push({ chunk, digest: Bun.hash.xxHash64(chunk.bytes), done });
    this.bytesInFlight += chunk.bytes.byteLength;
    this.bytesInFlightMax = Math.max(this.bytesInFlightMax, this.bytesInFlight);
    void this.#commitLater();
    return done.promise;
  };

  /** Commits nothing from now on. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    void this.#commitLater();
  }

  /** Rejects all that is pending with `fault`, and keeps none of it. */
  reject(fault: Fault): void {
    this.#drop(fault);
  }

  /** As if the process had been killed here: nothing more is committed. */
  close(): void {
    this.#closed = true;
    this.#drop(closed());
  }

  get texts(): string[] {
    return this.lines.map((line) => line.text);
  }

  /** Every line is a record here. */
  protected cover(chunk: Chunk, flow: Flow): PositionDelta {
    return flow.cover(flow.placeAt(chunk.bytes.byteLength), undefined);
  }

  #drop(fault: Fault): void {
    const dropped = this.#pending;
    this.#pending = [];
    this.bytesInFlight = 0;
    for (const { done } of dropped) done.reject(fault);
  }

  async #commitLater(): Promise<void> {
    if (this.#committing) return;
    this.#committing = true;
    await Bun.sleep(this.#commitMs);
    this.#committing = false;
    if (this.#held || this.#closed) return;
    const group = this.#pending;
    this.#pending = [];
    for (const pending of group) this.#commit(pending);
    if (this.#pending.length > 0) void this.#commitLater();
  }

  #commit({ chunk, digest, done }: Pending): void {
    if (Bun.hash.xxHash64(chunk.bytes) !== digest) this.broken.push("a chunk changed before its emit had settled");
    this.bytesInFlight -= chunk.bytes.byteLength;
    const { file, partial = false, truncated = false } = chunk;
    let offset = chunk.offset;
    const bytes = Buffer.from(chunk.bytes.buffer, chunk.bytes.byteOffset, chunk.bytes.byteLength);
    for (let at = 0; at < bytes.byteLength;) {
      const lineEnd = bytes.indexOf(10, at);
      const next = lineEnd < 0 ? bytes.byteLength : lineEnd + 1;
      const text = bytes.toString("utf8", at, lineEnd < 0 ? next : lineEnd);
      if (lineEnd < 0 && !partial && !truncated) this.broken.push("a line without an end is not marked");
      this.lines.push({ text, file, offset, partial, truncated });
      if (offset !== undefined) offset += next - at;
      at = next;
    }
    const { flow } = chunk;
    const position = flow === undefined ? chunk.position : this.cover(chunk, flow);
    for (const [key, value] of Object.entries(position ?? {})) {
      if (value === null) this.positions.delete(key);
      else this.positions.set(key, value);
    }
    done.resolve();
  }
}

function closed(): Fault {
  return new Fault({ code: "spool_closed", retry: "never", message: "the spool was closed" });
}
