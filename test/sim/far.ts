/**
 * The far sides of the simulation: an ingest that keeps our own wire's rules, and a store that never overwrites.
 *
 * Both survive every crash of the host. On the way requests are cut before they arrive, arrive twice, and answers get lost
 * after their effect.
 */
import type { Network, NetworkAnswer, NetworkRequest } from "../../src/core/network.ts";
import type { Batch, Sink, SinkKind } from "../../src/core/contract.ts";
import { Fault } from "../../src/core/fault.ts";
import { deliveryOf, type CommonConfig } from "../../src/sink/schema.ts";
import type { World } from "./world.ts";

export interface NetworkFaults {
  /** Chance of each: the request never arrives, the answer never does, the request arrives once more some time later. */
  cut: number;
  answerLost: number;
  repeated: number;
  /** The far side answers 503 to everything. */
  down: boolean;
}

export interface Lane {
  epoch: string;
  number: number;
  digest: string;
  past: string[];
}

/** What an ingest of ours keeps: the records it made durable, and per sender and lane the last batch. */
export class Ingest {
  readonly records: string[] = [];
  readonly #lanes = new Map<string, Lane>();

  take(request: NetworkRequest): NetworkAnswer {
    const headers = new Headers({ "Logferry-Receiver": "f".repeat(32) });
    if (request.method !== "POST") return { status: 204, headers, text: "" };
    const body = request.body ?? new Uint8Array();
    const digest = `sha256:${new Bun.CryptoHasher("sha256").update(body).digest("hex")}`;
    if (request.headers["Logferry-Digest"] !== digest) return { status: 400, headers, text: `{"code":"digest_mismatch"}` };
    const [spool, epoch = "", sink, lane, number] = (request.headers["Logferry-Batch"] ?? "").split("/");
    const key = `${spool}/${sink}/${lane}`;
    const last = this.#lanes.get(key);
    const at = Number(number);
    if (last?.epoch === epoch && last.number === at && last.digest === digest) return { status: 204, headers, text: "" };
    const next = last !== undefined && last.epoch === epoch && at === last.number + 1;
    const anew = at === 0 && last?.epoch !== epoch && last?.past.includes(epoch) !== true;
    if (!next && !anew) return { status: 409, headers, text: JSON.stringify({ epoch: last?.epoch, number: last?.number, digest: last?.digest }) };
    const past = last === undefined ? [] : last.epoch === epoch ? last.past : [...last.past, last.epoch].slice(-16);
    this.#lanes.set(key, { epoch, number: at, digest, past });
    this.records.push(...linesOf(body));
    return { status: 204, headers, text: "" };
  }
}

export function linesOf(body: Uint8Array): string[] {
  return Bun.zstdDecompressSync(body).toString("utf8").trimEnd().split("\n");
}

/** The network between the host and `ingest`. */
export function simNetwork(world: World, ingest: Ingest, faults: NetworkFaults): Network {
  return {
    request(request) {
      const { random } = world;
      const reset = (): never => {
        throw Object.assign(new Error("connection reset"), { code: "ECONNRESET" });
      };
      if (random.chance(faults.cut)) return world.later("request cut", reset);
      // Taken when sent: the caller may use its buffer again.
      const sent: NetworkRequest = { ...request, ...(request.body === undefined ? {} : { body: request.body.slice() }) };
      const again = random.chance(faults.repeated);
      const lost = random.chance(faults.answerLost);
      const { promise, resolve } = Promise.withResolvers<NetworkAnswer>();
      world.launched(`request ${request.method}`, () => {
        const answer: NetworkAnswer = faults.down ? { status: 503, headers: new Headers(), text: "down" } : ingest.take(sent);
        if (again) world.launched("request again", () => void (faults.down || ingest.take(sent)));
        resolve(answer);
      });
      return promise.then((answer) => world.later(`answer ${answer.status}`, () => (lost ? reset() : answer)));
    },
    serve: () => {
      throw new Error("nothing serves in the simulation");
    },
  };
}

/** An object store with `If-None-Match`, as the s3 sink uses it, without its protocol. */
export class Store {
  readonly objects = new Map<string, { digest: string; records: string[] }>();

  kind(world: World, faults: NetworkFaults): SinkKind<CommonConfig & { partition: string; zone: string }> {
    return {
      type: "store",
      schema: undefined as never,
      delivery: (config) => deliveryOf(config),
      open: async () => new StoreSink(this, world, faults),
      check: async () => [],
    };
  }

  put(name: string, batch: Batch, body: Uint8Array): "delivered" | "forked" {
    const there = this.objects.get(name);
    if (there !== undefined) return there.digest === batch.digest ? "delivered" : "forked";
    this.objects.set(name, { digest: batch.digest, records: linesOf(body) });
    return "delivered";
  }
}

class StoreSink implements Sink {
  readonly #store: Store;
  readonly #world: World;
  readonly #faults: NetworkFaults;

  constructor(store: Store, world: World, faults: NetworkFaults) {
    this.#store = store;
    this.#world = world;
    this.#faults = faults;
  }

  async put(batch: Batch): Promise<{ outcome: "delivered" | "forked" }> {
    const parts: Uint8Array[] = [];
    for await (const part of batch.body()) parts.push(new Uint8Array(part)); // a part is ours only until we ask for the next
    const body = Buffer.concat(parts);
    const { random } = this.#world;
    const away = (): never => {
      throw new Fault({ code: "store_away", retry: "later", message: "put object" });
    };
    if (this.#faults.down || random.chance(this.#faults.cut)) return this.#world.later("put cut", away);
    const lost = random.chance(this.#faults.answerLost);
    const { promise, resolve } = Promise.withResolvers<"delivered" | "forked">();
    this.#world.launched(`put ${batch.name}`, () => resolve(this.#store.put(`${batch.lane}/${batch.name}`, batch, body)));
    const outcome = await promise;
    return this.#world.later(`put ${outcome}`, () => (lost ? away() : { outcome }));
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
