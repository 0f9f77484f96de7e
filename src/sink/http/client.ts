/** Requests to the configured URL, with the configured headers. */
import type { Doors } from "../../core/doors.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import { Requester } from "../../core/requester.ts";
import type { Config } from "./config.ts";
import { unauthorized, unreachable } from "./fault.ts";

export class Client {
  /** The URL without its query, which may hold a key: for messages. */
  readonly place: string;
  readonly #config: Config;
  readonly #requester: Requester;
  /** The configured headers, names in lower case: one key a name, or the runtime joins the values. */
  readonly #own: Readonly<Record<string, string>>;

  constructor(config: Config, doors: Doors) {
    const url = new URL(config.url);
    const place = `${url.origin}${url.pathname}`;
    this.place = place;
    this.#own = Object.fromEntries(Object.entries(config.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
    this.#config = config;
    this.#requester = new Requester({ access: config, doors, faults: { unreachable: (cause) => unreachable(cause, place), unauthorized } });
  }

  /**
   * One request, one answer of any status. Rejects with a Fault: `http_unreachable` (later) when no answer came in time,
   * `secret_unreadable` or `http_unauthorized` (denied) when the files do not give what a request needs.
   */
  send(method: string, headers: Readonly<Record<string, string>>, body: Uint8Array | undefined, kill: AbortSignal): Promise<NetworkAnswer> {
    const { url, timeout } = this.#config;
    const request = { url, method, headers: { ...this.#own, ...headers }, ...(body === undefined ? {} : { body }) };
    return this.#requester.send(request, timeout, kill);
  }
}
