/**
 * Requests to a far side: with its credentials and TLS files as they are now, a time limit, and no secret in any message.
 * Proxies are taken from the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY) by the network door.
 */
import type { Access } from "./access.ts";
import { Cut, withDeadline } from "./deadline.ts";
import type { Doors } from "./doors.ts";
import { errnoOf, type Fault } from "./fault.ts";
import type { NetworkAnswer, NetworkRequest } from "./network.ts";
import { openSecret, type Secret } from "./secret.ts";
import { version } from "./version.ts";

/** How the protocol calls what goes wrong before there is an answer. */
export interface RequesterFaults {
  /** No answer came, for `cause`. A Fault and a Bug pass as they are. */
  unreachable(cause: unknown): Error;
  /** What the files hold cannot be sent. */
  unauthorized(message: string, hint: string): Fault;
}

export interface RequesterOptions {
  readonly access: Access;
  readonly doors: Pick<Doors, "clock" | "disk" | "network">;
  readonly faults: RequesterFaults;
}

export class Requester {
  readonly #options: RequesterOptions;
  readonly #files = new Map<string, Secret>();

  constructor(options: RequesterOptions) {
    this.#options = options;
  }

  /**
   * One request, one answer of any status, within `timeoutMs`. Rejects with a Fault: what `faults.unreachable` makes when no answer
   * came in time, `secret_unreadable` (denied) or what `faults.unauthorized` makes when the files do not give what a request needs.
   */
  async send(request: Omit<NetworkRequest, "signal" | "tls">, timeoutMs: number, kill: AbortSignal): Promise<NetworkAnswer> {
    const { clock, network } = this.#options.doors;
    const dressed = { ...request, ...(await this.dress(request.headers)) };
    try {
      return await withDeadline(clock, timeoutMs, kill, (signal) => network.request({ ...dressed, signal }));
    } catch (cause) {
      throw this.#options.faults.unreachable(cause);
    }
  }

  /** `headers` with who we are and the credentials, and the TLS settings. Rejects as `send` does for the files. */
  async dress(headers: Readonly<Record<string, string>>): Promise<Pick<NetworkRequest, "headers" | "tls">> {
    const tls = await this.#tls();
    const dressed = { "user-agent": `logferry/${version}`, ...(await this.#authorization()), ...headers };
    return { headers: dressed, ...(tls === undefined ? {} : { tls }) };
  }

  async #authorization(): Promise<Record<string, string>> {
    const { bearer_token_file, basic } = this.#options.access;
    if (bearer_token_file !== undefined) {
      const token = await this.#read(bearer_token_file);
      if (/^[\x21-\x7e]+$/.test(token)) return { Authorization: `Bearer ${token}` };
      const message = `read token from ${bearer_token_file}: holds characters that no header may have`;
      throw this.#options.faults.unauthorized(message, "the file must hold the token on one line and nothing else");
    }
    if (basic === undefined) return {};
    const password = await this.#read(basic.password_file);
    return { Authorization: `Basic ${Buffer.from(`${basic.username}:${password}`).toString("base64")}` };
  }

  async #tls(): Promise<NetworkRequest["tls"]> {
    const { tls } = this.#options.access;
    if (tls === undefined) return undefined;
    return {
      ...(tls.ca_file === undefined ? {} : { ca: await this.#read(tls.ca_file) }),
      ...(tls.cert_file === undefined ? {} : { cert: await this.#read(tls.cert_file) }),
      ...(tls.key_file === undefined ? {} : { key: await this.#read(tls.key_file) }),
    };
  }

  #read(path: string): Promise<string> {
    const file = this.#files.get(path) ?? openSecret(this.#options.doors.disk, path);
    this.#files.set(path, file);
    return file.read();
  }
}

/** What to look at when `far` (`the receiver`) gave no answer, as far as the failure tells. */
export function wayHint(cause: unknown, far: string): string {
  const errno = errnoOf(cause) ?? "";
  if (cause instanceof Cut) return `look whether ${far} hangs or a firewall swallows what is sent`;
  if (/^(ECONNREFUSED|ConnectionRefused)$/.test(errno)) return `nothing listens there: start ${far}, or correct url; a firewall may also refuse`;
  if (/^(ENOTFOUND|EAI_AGAIN)$/.test(errno)) return "correct the host in url, or look at this machine's name server";
  if (/CERT|SIGNATURE/.test(errno)) return `mend ${far}'s certificate, or name its issuer in tls.ca_file`;
  return `check ${far}, and the way to it: name, network, proxy, firewall, certificate`;
}
