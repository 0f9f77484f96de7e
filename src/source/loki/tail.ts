/**
 * One tail: a WebSocket, watched. The server pings every second whether or not there are lines, so a link that is silent for
 * longer is dead, whatever the network says.
 *
 * It is always read at once: Loki drops lines for a reader that does not, without a word.
 */
import { Changed } from "../../core/signals.ts";
import type { Clock } from "../../core/clock.ts";
import type { WebSocketLike } from "../../core/network.ts";
import type { Client } from "./client.ts";
import type { TailEnd } from "./fault.ts";

/** Fifteen pings missed. */
const silentMs = 15_000;
const watchMs = 5_000;

export class Tail {
  /** When it was begun and when the last text frame came, on the monotonic clock. */
  readonly openedMs: number;
  messageMs: number;
  live = false;
  end: TailEnd | undefined;
  /** Notified when it is live and when it has ended. */
  readonly changed = new Changed();
  readonly #clock: Clock;
  readonly #over = new AbortController();
  #socket: WebSocketLike | undefined;
  #heardMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.openedMs = this.messageMs = this.#heardMs = clock.monotonic();
  }

  /** Opens one; rejects with a Fault when it cannot even be tried. `message` is called for each text frame. */
  static async open(client: Client, params: Readonly<Record<string, string>>, clock: Clock, message: (text: string) => void): Promise<Tail> {
    const tail = new Tail(clock);
    const socket = await client.tail(params, {
      opened: () => tail.#isLive(),
      ping: () => tail.#hear(),
      message: (text) => {
        tail.#hear();
        tail.messageMs = clock.monotonic();
        if (tail.end === undefined) message(text);
      },
      closed: (end) => tail.#close(end),
    });
    tail.#socket = socket;
    void tail.#watch();
    return tail;
  }

  /** No frame is told of after this. */
  close(reason = ""): void {
    this.#close({ code: reason === "" ? 1000 : 1006, reason, opened: this.live });
  }

  #isLive(): void {
    this.#hear();
    if (this.end !== undefined) return;
    this.live = true;
    this.changed.notify();
  }

  #hear(): void {
    this.#heardMs = this.#clock.monotonic();
  }

  #close(end: TailEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.live = false;
    this.#socket?.close();
    this.#over.abort();
    this.changed.notify();
  }

  async #watch(): Promise<void> {
    while (this.end === undefined) {
      await this.#clock.sleep(watchMs, this.#over.signal);
      if (this.#clock.monotonic() - this.#heardMs > silentMs) this.close(`nothing came for ${silentMs / 1000} s, not even a ping`);
    }
  }
}
