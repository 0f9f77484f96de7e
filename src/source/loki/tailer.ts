/**
 * Keeps a tail up: opens it, hands on what it brings, replaces it before the server ends it, and opens it again as the reason of
 * its end asks. It is a hint for speed only: whatever happens here, a sweep is told that something may be missing.
 */
import type { SourceContext } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { backoffMs } from "../../core/retry.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import type { Client } from "./client.ts";
import type { LokiConfig } from "./config.ts";
import type { Decoder, Entry } from "./entry.ts";
import { judgeEnd } from "./fault.ts";
import type { Flow } from "./flow.ts";
import type { Sweeper } from "./sweeper.ts";
import { Tail } from "./tail.ts";
import { nsOfMs } from "./time.ts";

/** The server ends a tail after an hour by default: a new one is up before, at no common moment of a fleet. */
const rotateMs = 45 * 60_000;
const rotateSpreadMs = 5 * 60_000;
/** Of the life of a tail that the server ended for its age: so long the next one is kept. */
const rotateShare = 0.75;
/** When the new one did not come up, so that the old one stays. */
const rotateAgainMs = 5 * 60_000;
/** One that lived so long was well: whatever ended it, the next is opened as after the first failure. */
const healthyMs = 60_000;
/** One that ends sooner is not opened again at once, whatever the reason: a proxy may close each as it comes. */
const shortMs = 5_000;
/** How often it is asked whether a full spool takes something again. */
const acceptMs = 1000;
/** A tail begins in the past, since a start that is in the server's future is refused; what it repeats is known. */
const startMs = 60_000;
/** What a sweep found and the tail should have brought, while it was silent for so long: one future-stamped line holds up all. */
const stalledMs = 45_000;
const retryMsMin = 1000;
const retryMsMax = 60_000;

/** Entries of frames that came together and are emitted together: a frame has a hundred at most. */
const togetherMax = 1000;
const togetherMs = 5;

interface Frame {
  readonly streams?: unknown;
  readonly dropped_entries?: unknown[];
  readonly encodingFlags?: string[];
}

export class Tailer {
  #tail: Tail | undefined;
  readonly #config: LokiConfig;
  readonly #context: SourceContext;
  readonly #client: Client;
  readonly #decoder: Decoder;
  readonly #flow: Flow;
  readonly #sweeper: Sweeper;
  readonly #queue: string[] = [];
  #queuedBytes = 0;
  #pumping: Promise<void> | undefined;
  #raised = new Set<string>();
  /** The server does not know the encoding flag, or a proxy took it: what the tail says is not the whole entry. */
  #plain = false;
  /** How long a tail is kept: less than the server keeps one, as far as that is known. */
  #keepMs = rotateMs;

  constructor(parts: { config: LokiConfig; context: SourceContext; client: Client; decoder: Decoder; flow: Flow; sweeper: Sweeper }) {
    this.#config = parts.config;
    this.#context = parts.context;
    this.#client = parts.client;
    this.#decoder = parts.decoder;
    this.#flow = parts.flow;
    this.#sweeper = parts.sweeper;
    parts.sweeper.tailing = () => this.live && !this.#plain;
    parts.sweeper.found = () => this.#unstall();
  }

  get live(): boolean {
    return this.#tail?.live === true;
  }

  async run({ stop, kill }: Signals): Promise<void> {
    const { clock, random } = this.#context.doors;
    const over = (): boolean => stop.aborted || kill.aborted || this.#flow.broken !== undefined;
    await orAborted(this.#sweeper.begun.promise, stop, kill);
    for (let attempt = 0; !over();) {
      await this.#flow.room(stop, kill);
      while (!over() && !this.#context.accepting()) await clock.sleep(acceptMs, stop, kill, this.#flow.cut.signal);
      if (over()) break;
      const beganMs = clock.monotonic();
      const waitMs = await this.#once({ stop, kill });
      if (clock.monotonic() - beganMs >= healthyMs) attempt = 0;
      await clock.sleep(waitMs ?? backoffMs(attempt++, retryMsMin, retryMsMax, () => random.next()), stop, kill, this.#flow.cut.signal);
    }
    await this.#pumping;
  }

  /** One tail from open to end, over all its rotations. Returns how long to wait; undefined: as backoff says. */
  async #once({ stop, kill }: Signals): Promise<number | undefined> {
    const { clock, random } = this.#context.doors;
    const signals = [stop, kill, this.#flow.cut.signal];
    try {
      let tail = await this.#open();
      try {
        let keepMs = this.#keepMs + (random.next() * rotateSpreadMs * this.#keepMs) / rotateMs;
        while (!signals.some((signal) => signal.aborted) && tail.end === undefined) {
          await this.#until(tail, clock.monotonic() + keepMs, signals);
          if (tail.end !== undefined || signals.some((signal) => signal.aborted)) break;
          const next = await this.#rotate(tail, signals);
          keepMs = next === tail ? Math.min(rotateAgainMs, this.#keepMs) : this.#keepMs + (random.next() * rotateSpreadMs * this.#keepMs) / rotateMs;
          tail = next;
        }
      } finally {
        tail.close();
        this.#tail = undefined;
      }
      return this.#ended(tail);
    } catch (cause) {
      if (!(cause instanceof Fault)) throw cause;
      this.#raise(cause);
      return undefined;
    }
  }

  /** Waits until the tail has ended or its time has come; tells the sweeper once it is live. */
  async #until(tail: Tail, dueMs: number, signals: AbortSignal[]): Promise<void> {
    const { clock } = this.#context.doors;
    const timer = new AbortController();
    void clock.sleep(Math.max(0, dueMs - clock.monotonic()), timer.signal, ...signals).then(() => timer.abort());
    let told = tail !== this.#tail;
    for (;;) {
      if (tail.end !== undefined || timer.signal.aborted) break;
      if (tail.live && !told) {
        told = true;
        this.#lower();
        this.#sweeper.gap();
      }
      await tail.changed.wait(timer.signal);
    }
    timer.abort();
  }

  /** A new tail beside the old one; the old one goes once the new one is live, or stays when it does not get so far. */
  async #rotate(old: Tail, signals: AbortSignal[]): Promise<Tail> {
    const { clock } = this.#context.doors;
    const next = await this.#open(false).catch((cause: unknown) => {
      if (cause instanceof Fault) return undefined; // a token that cannot be read just now: the old tail needs none
      throw cause;
    });
    if (next === undefined) return old;
    const timer = new AbortController();
    void clock.sleep(30_000, timer.signal, ...signals).then(() => timer.abort());
    while (!next.live && next.end === undefined && old.end === undefined && !timer.signal.aborted) await next.changed.wait(timer.signal);
    timer.abort();
    if (!next.live) {
      next.close();
      return old;
    }
    this.#tail = next;
    old.close();
    this.#sweeper.gap();
    return next;
  }

  async #open(first = true): Promise<Tail> {
    const start = nsOfMs(this.#client.now() - startMs);
    const params = { query: this.#config.query, start: String(start), limit: "1" };
    const tail = await Tail.open(this.#client, params, this.#context.doors.clock, (text) => this.#message(text));
    if (first) this.#tail = tail;
    return tail;
  }

  #ended({ end, openedMs }: Tail): number | undefined {
    this.#sweeper.gap();
    const ageMs = this.#context.doors.clock.monotonic() - openedMs;
    if (end === undefined) return 0;
    const { fault, waitMs } = judgeEnd(end, this.#client.place);
    if (fault !== undefined) this.#raise(fault);
    if (/max duration/.test(end.reason)) this.#keepMs = Math.min(this.#keepMs, Math.max(shortMs, ageMs * rotateShare));
    if (waitMs === 0 && ageMs < shortMs) return undefined;
    // Whoever waits for a slot of the tenant's waits with others, who must not all come at one moment.
    return waitMs === undefined ? undefined : waitMs * (1 + this.#context.doors.random.next() / 2);
  }

  #raise(fault: Fault): void {
    this.#raised.add(fault.code);
    this.#context.board.raise(`sources.${this.#context.name}`, fault.retry === "later" ? "degraded" : "failing", fault, "tail");
  }

  #lower(): void {
    for (const code of this.#raised) this.#context.board.clear(`sources.${this.#context.name}`, code, "tail");
    this.#raised = new Set();
  }

  #message(text: string): void {
    this.#queue.push(text);
    this.#queuedBytes += text.length;
    // Never stop reading: the server would drop without a word. Better no tail, and all of it from query_range later.
    if (!this.#context.accepting()) this.#tail?.close("the spool takes nothing");
    else if (this.#flow.flooded(this.#queuedBytes)) this.#tail?.close("more came than becomes durable");
    this.#pumping ??= this.#pump().finally(() => (this.#pumping = undefined));
  }

  async #pump(): Promise<void> {
    try {
      while (this.#queue.length > 0 && this.#flow.broken === undefined) {
        await this.#context.doors.clock.sleep(togetherMs);
        // What has come meanwhile goes as one: a position, a hash table and a commit for each frame would cost more than its entries.
        const entries: Entry[] = [];
        for (let text = this.#queue.shift(); text !== undefined; text = entries.length < togetherMax ? this.#queue.shift() : undefined) {
          this.#queuedBytes -= text.length;
          for (const entry of this.#entriesOf(text)) entries.push(entry);
        }
        await this.#flow.take(entries);
        await this.#flow.move();
      }
    } catch (cause) {
      this.#flow.fail(cause);
    }
  }

  #entriesOf(text: string): Entry[] {
    try {
      const frame = JSON.parse(text) as Frame;
      if ((frame.dropped_entries ?? []).length > 0) this.#dropped();
      this.#plain = frame.encodingFlags?.includes("categorize-labels") !== true;
      if (!this.#plain) return this.#decoder.entries(frame.streams ?? []);
    } catch (cause) {
      if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
      this.#plain = true;
    }
    this.#ignored();
    return [];
  }

  #dropped(): void {
    const hint = "what it dropped is fetched; nothing to do, unless it is so all the time: then this machine is too slow for what comes";
    const fault = new Fault({ code: "loki_tail_dropped", retry: "never", message: "the server dropped entries from the tail", hint });
    this.#context.board.count(`sources.${this.#context.name}`, fault);
    this.#sweeper.dropped();
  }

  #ignored(): void {
    if (!this.#raised.has("loki_flags_missing")) {
      const hint = "let the header X-Loki-Response-Encoding-Flags through to Loki (2.9 or newer); until then sweeps bring everything, later";
      const message = "the tail does not tell structured metadata from labels, so it is not used";
      this.#raise(new Fault({ code: "loki_flags_missing", retry: "later", message, hint }));
    }
  }

  #unstall(): void {
    const tail = this.#tail;
    if (tail?.live === true && this.#context.doors.clock.monotonic() - tail.messageMs > stalledMs)
      tail.close("sweeps find entries while it is silent");
  }
}
