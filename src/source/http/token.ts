/**
 * Who sends: the bearer token of a request against the token files, which are read again when they change.
 *
 * Tokens are compared as SHA-256 digests in constant time, all of them at every request, so that no answer is faster for a token
 * that is nearly right. A file that cannot be read lets nobody in and stands in health until it can be.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { Board } from "../../core/board.ts";
import type { Disk } from "../../core/disk.ts";
import { Fault } from "../../core/fault.ts";
import { openSecret, type Secret } from "../../core/secret.ts";
import type { HttpConfig } from "./config.ts";

/** Who a token stands for. */
export interface Sender {
  /** Name in the configuration; of the one token without a name `default`, without tokens `anonymous`. */
  readonly name: string;
  /** The `source` its records may have; undefined: any. */
  readonly sources: ReadonlySet<string> | undefined;
}

interface Entry {
  readonly sender: Sender;
  readonly secret: Secret;
}

export class Tokens {
  readonly #entries: readonly Entry[];
  readonly #board: Board;
  readonly #component: string;
  readonly #unreadable = new Set<string>();

  constructor(config: HttpConfig, disk: Disk, board: Board, component: string) {
    this.#entries = tokensOf(config).map(({ name, file, sources }) => ({
      sender: { name, sources: sources === undefined ? undefined : new Set(sources) },
      secret: openSecret(disk, file),
    }));
    this.#board = board;
    this.#component = component;
  }

  /** Nobody needs a token. */
  get open(): boolean {
    return this.#entries.length === 0;
  }

  /** Reads every file; rejects with Fault `secret_unreadable` for the first that cannot be read. */
  async readAll(): Promise<void> {
    for (const { secret } of this.#entries) await secret.read();
  }

  /** The sender of a request with this `Authorization` header, undefined when it may not send. */
  async senderOf(authorization: string | null): Promise<Sender | undefined> {
    if (this.open) return { name: "anonymous", sources: undefined };
    const shown = digest(/^bearer +(\S+) *$/i.exec(authorization ?? "")?.[1] ?? "");
    let sender: Sender | undefined;
    for (const entry of this.#entries) {
      const token = await this.#read(entry.secret);
      if (token !== undefined && timingSafeEqual(digest(token), shown)) sender ??= entry.sender;
    }
    return sender;
  }

  async #read(secret: Secret): Promise<string | undefined> {
    try {
      const token = await secret.read();
      if (this.#unreadable.delete(secret.path)) this.#board.clear(this.#component, "secret_unreadable", secret.path);
      return token;
    } catch (cause) {
      if (!(cause instanceof Fault)) throw cause;
      if (!this.#unreadable.has(secret.path)) this.#board.raise(this.#component, "failing", cause, secret.path);
      this.#unreadable.add(secret.path);
      return undefined;
    }
  }
}

/** The tokens of a configuration, the one without a name included. */
export function tokensOf(
  config: HttpConfig,
): readonly { readonly name: string; readonly file: string; readonly sources?: readonly string[] | undefined }[] {
  if (config.tokens !== undefined) return config.tokens;
  return config.bearer_token_file === undefined ? [] : [{ name: "default", file: config.bearer_token_file }];
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
