/**
 * The far sides of the simulation: an ingest that keeps our own wire's rules, and a store that never overwrites.
 *
 * Both survive every crash of the hosts. On the way requests are cut before they arrive, arrive twice, and answers get lost
 * after their effect. What arrives is told to `arrived` as it comes.
 */
import type { Batch, Codec, Sink, SinkKind } from "../../src/core/contract.ts";
import { Fault } from "../../src/core/fault.ts";
import type { Held, Holdings } from "../../src/core/holdings.ts";
import type { Network, NetworkAnswer, NetworkRequest } from "../../src/core/network.ts";
import { deliveryOf, type CommonConfig } from "../../src/sink/schema.ts";
import { gunzipSync } from "node:zlib";
import type { Life, World } from "./world.ts";

export interface NetworkFaults {
  /** Chance of each: the request never arrives, the answer never does, the request arrives once more some time later. */
  cut: number;
  answerLost: number;
  repeated: number;
  /** The far side answers 503 to everything. */
  down: boolean;
}

export const noNetworkFaults: NetworkFaults = { cut: 0, answerLost: 0, repeated: 0, down: false };

/** Lines that have arrived at a place. */
export type Arrived = (place: string, lines: readonly string[]) => void;

/** What an ingest keeps of a sender's lane. */
interface Last {
  readonly lane: string;
  readonly epoch: string;
  readonly number: number;
  readonly digest: string;
  readonly past: readonly string[];
}

/** What an ingest of ours keeps: per sender and lane the last batch. */
export class Ingest {
  readonly #lanes = new Map<string, Last>();
  readonly #arrived: Arrived;

  constructor(arrived: Arrived) {
    this.#arrived = arrived;
  }

  take(request: NetworkRequest): NetworkAnswer {
    const headers = new Headers({ "Logferry-Receiver": "f".repeat(32) });
    const answer = (status: number, text = ""): NetworkAnswer => ({ status, headers, text });
    const held = request.headers["Logferry-Held"];
    if (held !== undefined) {
      const lasts = [...this.#lanes].filter(([key]) => key.startsWith(`${held}/`));
      return answer(200, JSON.stringify({ lanes: lasts.map(([, last]) => ({ ...last, had: [] })) }));
    }
    if (request.method !== "POST") return answer(204);
    const body = request.body ?? new Uint8Array();
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
    if (request.headers["Logferry-Digest"] !== digest) return answer(400, `{"code":"digest_mismatch"}`);
    const [spool, epoch = "", sink, lane = "", number] = (request.headers["Logferry-Batch"] ?? "").split("/");
    const key = `${spool}/${sink}/${lane}`;
    const last = this.#lanes.get(key);
    const at = Number(number);
    if (last?.epoch === epoch && last.number === at && last.digest === digest) return answer(204);
    const next = last?.epoch === epoch ? at === last.number + 1 : at === 0 && last?.past.includes(epoch) !== true;
    if (!next) return answer(409, JSON.stringify({ epoch: last?.epoch ?? null, number: last?.number ?? null, digest: last?.digest ?? null }));
    const past = last === undefined ? [] : last.epoch === epoch ? last.past : [last.epoch, ...last.past].slice(0, 16);
    this.#lanes.set(key, { lane: decodeURIComponent(lane), epoch, number: at, digest, past });
    const codec = { zstd: "zstd", gzip: "gzip" }[request.headers["Content-Encoding"] ?? ""] ?? "none";
    this.#arrived("ingest", linesOf(body, codec as Codec));
    return answer(204);
  }
}

export function linesOf(body: Uint8Array, codec: Codec): string[] {
  const plain = codec === "none" ? body : codec === "zstd" ? Bun.zstdDecompressSync(body) : gunzipSync(body);
  return Buffer.from(plain).toString("utf8").trimEnd().split("\n");
}

/** The network between a host and `ingest`. */
export function simNetwork(life: Life, ingest: Ingest, faults: NetworkFaults): Network {
  const { world } = life;
  return {
    request(request) {
      const { random } = world;
      const reset = (): never => {
        throw Object.assign(new Error("connection reset"), { code: "ECONNRESET" });
      };
      if (random.chance(faults.cut)) return life.later("request cut", reset);
      // Taken when sent: the caller may use its buffer again.
      const sent: NetworkRequest = { ...request, ...(request.body === undefined ? {} : { body: request.body.slice() }) };
      const what = `${life.name} request ${request.headers["Logferry-Batch"]?.slice(33) ?? request.method}`;
      const again = random.chance(faults.repeated);
      const lost = random.chance(faults.answerLost);
      const { promise, resolve } = Promise.withResolvers<NetworkAnswer>();
      world.launched(what, () => {
        const answer: NetworkAnswer = faults.down ? { status: 503, headers: new Headers(), text: "down" } : ingest.take(sent);
        if (again) world.launched(`${what} again`, () => void (faults.down || ingest.take(sent)));
        resolve(answer);
      });
      return promise.then((answer) => life.later(`answer ${answer.status}${lost ? " lost" : ""}`, () => (lost ? reset() : answer)));
    },
    serve: () => {
      throw new Error("nothing serves in the simulation");
    },
  };
}

/** An object store with `If-None-Match`, as the s3 sink uses it, without its protocol. */
export class Store {
  readonly objects = new Map<string, { readonly lane: string; readonly name: string; readonly digest: string; readonly body: Uint8Array }>();
  readonly #arrived: Arrived;

  constructor(arrived: Arrived) {
    this.#arrived = arrived;
  }

  kind(life: Life, faults: NetworkFaults): SinkKind<CommonConfig & { partition: string; zone: string }> {
    return {
      type: "store",
      schema: undefined as never,
      delivery: (config) => deliveryOf(config),
      open: async () => new StoreSink(this, life, faults),
      check: async () => [],
    };
  }

  /** What a look at the name says; undefined when there is nothing. */
  look({ lane, name, digest }: Batch): "delivered" | "forked" | undefined {
    const there = this.objects.get(`${lane}/${name}`);
    return there === undefined ? undefined : there.digest === digest ? "delivered" : "forked";
  }

  put(batch: Batch, body: Uint8Array): "delivered" | "forked" {
    const there = this.look(batch);
    if (there !== undefined) return there;
    const { lane, name, digest } = batch;
    this.objects.set(`${lane}/${name}`, { lane, name, digest, body });
    this.#arrived("store", linesOf(body, batch.codec));
    return "delivered";
  }
}

class StoreSink implements Sink {
  readonly #store: Store;
  readonly #life: Life;
  readonly #faults: NetworkFaults;
  /** What a lost journal is made anew from. */
  readonly holdings: Holdings;

  constructor(store: Store, life: Life, faults: NetworkFaults) {
    this.#store = store;
    this.#life = life;
    this.#faults = faults;
    this.holdings = {
      list: (wanted) => this.#list(wanted),
      describe: async (held) => {
        const there = await life.later(`describe ${held.name}`, () => store.objects.get(`${held.lane}/${held.name}`));
        return there === undefined ? undefined : { digest: there.digest, records: undefined };
      },
      read: (held) => this.#read(held),
    };
  }

  async *#list(wanted: (name: string) => boolean): AsyncGenerator<Held> {
    for (const { lane, name, body } of await this.#life.later("list the store", () => [...this.#store.objects.values()])) {
      if (wanted(name)) yield { lane, name, bytes: body.byteLength };
    }
  }

  async *#read({ lane, name }: Held): AsyncGenerator<Uint8Array> {
    const body = await this.#life.later(`get ${name}`, () => this.#store.objects.get(`${lane}/${name}`)?.body);
    if (body !== undefined) yield new Uint8Array(body);
  }

  async put(batch: Batch): Promise<{ outcome: "delivered" | "forked" }> {
    const name = `${batch.lane}/${batch.name}`;
    // Looked at first: a body that cannot be made any more, since a frame of it rotted, may have arrived before.
    const there = await this.#life.later(`look at ${name}`, () => this.#store.look(batch));
    if (there !== undefined) return { outcome: there };
    const parts: Uint8Array[] = [];
    for await (const part of batch.body()) parts.push(new Uint8Array(part)); // a part is ours only until we ask for the next
    const body = Buffer.concat(parts);
    const world: World = this.#life.world;
    const away = (): never => {
      throw new Fault({ code: "store_away", retry: "later", message: "put object" });
    };
    if (this.#faults.down || world.random.chance(this.#faults.cut)) return this.#life.later("put cut", away);
    const lost = world.random.chance(this.#faults.answerLost);
    const { promise, resolve } = Promise.withResolvers<"delivered" | "forked">();
    world.launched(`${this.#life.name} put ${name}`, () => resolve(this.#store.put(batch, body)));
    const outcome = await promise;
    return this.#life.later(`put ${outcome}${lost ? ", answer lost" : ""}`, () => (lost ? away() : { outcome }));
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
