/** Requests to Loki: credentials and TLS files as they are now, base path, tenant, time limit. No secret is in any message. */
import { withDeadline } from "../../core/deadline.ts";
import type { Doors } from "../../core/doors.ts";
import { Fault } from "../../core/fault.ts";
import type { NetworkAnswer, NetworkRequest, WebSocketLike } from "../../core/network.ts";
import { openSecret, type Secret } from "../../core/secret.ts";
import { version } from "../../core/version.ts";
import type { LokiConfig } from "./config.ts";
import { refused, unreachable, unreadable, type TailEnd } from "./fault.ts";

/** A range that a server cannot answer within a minute is asked for in halves. */
const timeoutMs = 60_000;
/** A page is asked for so that it stays below an eighth of this; longer, it is asked for in halves. */
export const answerBytesMax = 32 * 1024 * 1024;

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
  readonly #base: string;
  readonly #config: LokiConfig;
  readonly #doors: Doors;
  readonly #files = new Map<string, Secret>();

  constructor(config: LokiConfig, doors: Doors) {
    const url = new URL(config.url);
    this.#base = `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
    this.place = this.#base;
    this.#config = config;
    this.#doors = doors;
  }

  /** One GET below `/loki/api/v1/`, any answer. Rejects with Fault `loki_unreachable`, `secret_unreadable` or `loki_unauthorized`. */
  async get(path: string, params: Readonly<Record<string, string>>, kill: AbortSignal): Promise<NetworkAnswer> {
    const tls = await this.#tls();
    const request = {
      url: `${this.#base}/loki/api/v1/${path}?${new URLSearchParams(params).toString()}`,
      method: "GET",
      // An empty answer for an old range may come from the result cache, which late entries do not change.
      headers: { ...(await this.#headers()), "Cache-Control": "no-cache" },
      answerBytesMax,
      ...(tls === undefined ? {} : { tls }),
    };
    try {
      this.requests++;
      const answer = await withDeadline(this.#doors.clock, timeoutMs, kill, (signal) => this.#doors.network.request({ ...request, signal }));
      this.bytes += answer.text.length;
      return answer;
    } catch (cause) {
      throw unreachable(cause, this.place);
    }
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
    const tls = await this.#tls();
    const { network } = this.#doors;
    if (network.connect === undefined)
      throw new Fault({ code: "loki_unreachable", retry: "later", message: `tail ${this.place}: no WebSocket here` });
    return network.connect({
      url: `${this.#base.replace(/^http/, "ws")}/loki/api/v1/tail?${new URLSearchParams(params).toString()}`,
      headers: await this.#headers(),
      ...(tls === undefined ? {} : { tls }),
      ...events,
    });
  }

  async #headers(): Promise<Record<string, string>> {
    const { tenant } = this.#config;
    return {
      "User-Agent": `logferry/${version}`,
      // On the tail and in queries alike: without it the tail loses the metadata, and queries mix it into the labels.
      "X-Loki-Response-Encoding-Flags": "categorize-labels",
      ...(tenant === undefined ? {} : { "X-Scope-OrgID": tenant }),
      ...(await this.#authorization()),
    };
  }

  async #authorization(): Promise<Record<string, string>> {
    const { bearer_token_file, basic } = this.#config;
    if (bearer_token_file !== undefined) {
      const token = await this.#read(bearer_token_file);
      if (/^[\x21-\x7e]+$/.test(token)) return { Authorization: `Bearer ${token}` };
      throw new Fault({
        code: "loki_unauthorized",
        retry: "denied",
        message: `read token from ${bearer_token_file}: holds characters that no header may have`,
        hint: "the file must hold the token on one line and nothing else",
      });
    }
    if (basic === undefined) return {};
    const password = await this.#read(basic.password_file);
    return { Authorization: `Basic ${Buffer.from(`${basic.username}:${password}`).toString("base64")}` };
  }

  async #tls(): Promise<NetworkRequest["tls"]> {
    const { tls } = this.#config;
    if (tls === undefined) return undefined;
    return {
      ...(tls.ca_file === undefined ? {} : { ca: await this.#read(tls.ca_file) }),
      ...(tls.cert_file === undefined ? {} : { cert: await this.#read(tls.cert_file) }),
      ...(tls.key_file === undefined ? {} : { key: await this.#read(tls.key_file) }),
    };
  }

  #read(path: string): Promise<string> {
    const file = this.#files.get(path) ?? openSecret(this.#doors.disk, path);
    this.#files.set(path, file);
    return file.read();
  }
}
