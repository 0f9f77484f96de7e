/** Pushes to Loki: base path, tenant, credentials, time limit, encoding. */
import type { Doors } from "../../core/doors.ts";
import { giveBack } from "../../core/lend.ts";
import { lokiBase, lokiFaults, tenantHeader } from "../../core/loki.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import { Requester } from "../../core/requester.ts";
import type { Config } from "./config.ts";
import type { encode } from "./push.ts";
import type { Entry } from "./record.ts";
import type { Stream } from "./stream.ts";

export class Client {
  /** The URL as it may be shown. */
  readonly place: string;
  readonly #config: Config;
  readonly #doors: Doors;
  readonly #requester: Requester;
  readonly #encode: typeof encode;

  private constructor(config: Config, doors: Doors, encoder: typeof encode) {
    this.place = lokiBase(config.url);
    this.#config = config;
    this.#doors = doors;
    this.#encode = encoder;
    this.#requester = new Requester({ access: config, doors, faults: lokiFaults(this.place) });
  }

  /** Loads what encodes: only who has such a sink pays for it. */
  static async open(config: Config, doors: Doors): Promise<Client> {
    return new Client(config, doors, (await import("./push.ts")).encode);
  }

  /** One push, any answer. Rejects with Fault `loki_unreachable` (later), `secret_unreadable` or `loki_unauthorized` (denied). */
  push(entries: readonly Entry[], kill: AbortSignal): Promise<NetworkAnswer> {
    return this.#send(
      Map.groupBy(entries, ({ stream }) => stream),
      kill,
    );
  }

  /** A push of one stream without an entry: it stores nothing. As `push`. */
  pushNothing(kill: AbortSignal): Promise<NetworkAnswer> {
    const labels = { source: "logferry-check" };
    return this.#send(new Map([[{ text: `{source="${labels.source}"}`, labels, hash: 0 }, []]]), kill);
  }

  async #send(streams: ReadonlyMap<Stream, readonly Entry[]>, kill: AbortSignal): Promise<NetworkAnswer> {
    const { encoding, tenant, timeout } = this.#config;
    const { body, headers } = await this.#encode(streams, encoding, this.#doors.compress);
    const url = `${this.place}/loki/api/v1/push`;
    try {
      return await this.#requester.send({ url, method: "POST", headers: { ...headers, ...tenantHeader(tenant) }, body }, timeout, kill);
    } finally {
      giveBack(body);
    }
  }
}
