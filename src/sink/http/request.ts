/** Requests to the configured URL: with its credentials and TLS files as they are now, a time limit, and no secret in any message. */
import { withDeadline } from "../../core/deadline.ts";
import type { Doors } from "../../core/doors.ts";
import { Fault } from "../../core/fault.ts";
import type { NetworkAnswer, NetworkRequest } from "../../core/network.ts";
import { openSecret, type Secret } from "../../core/secret.ts";
import { version } from "../../core/version.ts";
import type { Config } from "./config.ts";
import { unreachable } from "./fault.ts";

export class Requester {
  /** The URL without its query, which may hold a key: for messages. */
  readonly place: string;
  readonly #config: Config;
  readonly #doors: Doors;
  /** The configured headers, names in lower case: one key a name, or the runtime joins the values. */
  readonly #own: Readonly<Record<string, string>>;
  readonly #files = new Map<string, Secret>();

  constructor(config: Config, doors: Doors) {
    const url = new URL(config.url);
    this.place = `${url.origin}${url.pathname}`;
    this.#own = Object.fromEntries(Object.entries(config.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
    this.#config = config;
    this.#doors = doors;
  }

  /**
   * One request, one answer of any status. Rejects with a Fault: `http_unreachable` (later) when no answer came in time,
   * `secret_unreadable` or `http_unauthorized` (denied) when the files do not give what a request needs.
   */
  async send(method: string, headers: Readonly<Record<string, string>>, body: Uint8Array | undefined, kill: AbortSignal): Promise<NetworkAnswer> {
    const tls = await this.#tls();
    const request = {
      url: this.#config.url,
      method,
      headers: { "user-agent": `logferry/${version}`, ...this.#own, ...(await this.#authorization()), ...headers },
      ...(body === undefined ? {} : { body }),
      ...(tls === undefined ? {} : { tls }),
    };
    try {
      return await withDeadline(this.#doors.clock, this.#config.timeout, kill, (signal) => this.#doors.network.request({ ...request, signal }));
    } catch (cause) {
      throw unreachable(cause, this.place);
    }
  }

  async #authorization(): Promise<Record<string, string>> {
    const { bearer_token_file, basic } = this.#config;
    if (bearer_token_file !== undefined) {
      const token = await this.#read(bearer_token_file);
      if (/^[\x21-\x7e]+$/.test(token)) return { Authorization: `Bearer ${token}` };
      throw new Fault({
        code: "http_unauthorized",
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
