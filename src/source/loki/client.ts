/** Questions to Loki and tails of it: base path, tenant, credentials, time limit. */
import type { Doors } from "../../core/doors.ts";
import { Fault } from "../../core/fault.ts";
import { lokiBase, lokiFaults, tenantHeader } from "../../core/loki.ts";
import type { NetworkAnswer, WebSocketLike } from "../../core/network.ts";
import { Requester } from "../../core/requester.ts";
import type { LokiConfig } from "./config.ts";
import { refused, unreadable, type TailEnd } from "./fault.ts";

/** A range that a server cannot answer within a minute is asked for in halves. */
const timeoutMs = 60_000;
/** A page is asked for so that it stays below an eighth of this; longer, it is asked for in halves. */
export const answerBytesMax = 32 * 1024 * 1024;

/** Clocks that differ by less count as one: what time servers leave. */
const clockMs = 1000;

/** One answer of many that is cut or a 500 is asked for again before a sweep is given up over it. */
const againMs: readonly number[] = [250, 1000];

export interface TailEvents {
  opened(): void;
  message(text: string): void;
  ping(): void;
  closed(end: TailEnd): void;
}

export class Client {
  /** The URL as it may be shown. */
  readonly place: string;
  /** Requests and answer bytes so far. */
  requests = 0;
  bytes = 0;
  /** How far the server's clock is ahead of ours, milliseconds, as of its last answer; 0 for less than a second. */
  aheadMs = 0;
  readonly #tenant: string | undefined;
  readonly #doors: Doors;
  readonly #requester: Requester;

  constructor(config: LokiConfig, doors: Doors) {
    this.place = lokiBase(config.url);
    this.#tenant = config.tenant;
    this.#doors = doors;
    this.#requester = new Requester({ access: config, doors, faults: lokiFaults(this.place) });
  }

  /** One GET below `/loki/api/v1/`, any answer. Rejects with Fault `loki_unreachable`, `secret_unreadable` or `loki_unauthorized`. */
  async get(path: string, params: Readonly<Record<string, string>>, kill: AbortSignal): Promise<NetworkAnswer> {
    const request = {
      url: `${this.place}/loki/api/v1/${path}?${new URLSearchParams(params).toString()}`,
      method: "GET",
      // An empty answer for an old range may come from the result cache, which late entries do not change.
      headers: { ...this.#headers(), "Cache-Control": "no-cache" },
      answerBytesMax,
    };
    this.requests++;
    const sentMs = this.#doors.clock.now();
    const answer = await this.#requester.send(request, timeoutMs, kill);
    this.bytes += answer.text.length;
    this.#compareClocks(answer.headers, sentMs);
    return answer;
  }

  /** Wall time as the server has it, milliseconds: what it takes and counts goes by its clock, and ours may be wrong. */
  now(): number {
    return this.#doors.clock.now() + this.aheadMs;
  }

  /** The answer was made between its request and now, and its `Date` is a whole second, cut off. One from a cache says nothing. */
  #compareClocks(headers: Headers, sentMs: number): void {
    const date = Date.parse(headers.get("date") ?? "");
    if (Number.isNaN(date) || headers.has("age")) return;
    const least = date - this.#doors.clock.now();
    const most = date + 1000 - sentMs;
    this.aheadMs = least > clockMs ? Math.round(least) : most < -clockMs ? Math.round(most) : 0;
  }

  /** As `get`: `data` of a 200's JSON, and how long the answer was. Rejects with a Fault for everything else. */
  async data(path: string, params: Readonly<Record<string, string>>, kill: AbortSignal): Promise<{ data: unknown; length: number }> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#dataOnce(path, params, kill);
      } catch (cause) {
        const passing =
          cause instanceof Fault && /^loki_(?:server_error|answer_unreadable)$/.test(cause.code) && !/too long|answered 504/.test(cause.message);
        const waitMs = againMs[attempt];
        if (!passing || waitMs === undefined || kill.aborted) throw cause;
        await this.#doors.clock.sleep(waitMs, kill);
      }
    }
  }

  async #dataOnce(path: string, params: Readonly<Record<string, string>>, kill: AbortSignal): Promise<{ data: unknown; length: number }> {
    const operation = `ask ${this.place} for ${path}`;
    const answer = await this.get(path, params, kill);
    if (answer.status !== 200) throw refused(answer, operation, this.#doors.clock.now());
    try {
      return { data: (JSON.parse(answer.text) as { data?: unknown }).data, length: answer.text.length };
    } catch {
      throw unreadable(operation, answer.text.length >= answerBytesMax / 4 ? "it is too long" : "it is not whole JSON");
    }
  }

  /** Opens a tail. Rejects with a Fault when the files do not give what it needs. */
  async tail(params: Readonly<Record<string, string>>, events: TailEvents): Promise<WebSocketLike> {
    const { network } = this.#doors;
    if (network.connect === undefined)
      throw new Fault({ code: "loki_unreachable", retry: "later", message: `tail ${this.place}: no WebSocket here` });
    return network.connect({
      url: `${this.place.replace(/^http/, "ws")}/loki/api/v1/tail?${new URLSearchParams(params).toString()}`,
      ...(await this.#requester.dress(this.#headers())),
      ...events,
    });
  }

  #headers(): Record<string, string> {
    return {
      // On the tail and in queries alike: without it the tail loses the metadata, and queries mix it into the labels.
      "X-Loki-Response-Encoding-Flags": "categorize-labels",
      ...tenantHeader(this.#tenant),
    };
  }
}
