/** A far side in memory that keeps what was put under a name, and a sink to it that answers as the test tells it. */
import { gunzipSync } from "node:zlib";
import { zstdDecompressSync } from "bun";
import * as v from "valibot";
import type { Batch, Delivery, Receipt, Sink, SinkKind } from "../../src/core/contract.ts";
import type { Holdings, Received } from "../../src/core/holdings.ts";
import { orAborted, type Signals } from "../../src/core/signals.ts";

export interface Arrived {
  readonly lane: string;
  readonly name: string;
  readonly body: Buffer;
  readonly digest: string;
  readonly records: number;
  /** Planted: not of this spool. */
  readonly foreign: boolean;
}

/** Objects by `lane/name`; never overwritten. */
export class FarSide {
  readonly objects = new Map<string, Arrived>();
  /** Every put that came, in order: also those that were refused. */
  readonly puts: Pick<Batch, "id" | "lane" | "number" | "epoch" | "name" | "digest" | "ranges" | "records">[] = [];

  async store(batch: Batch): Promise<Receipt> {
    const key = `${batch.lane}/${batch.name}`;
    const parts: Uint8Array[] = [];
    for await (const part of batch.body()) parts.push(new Uint8Array(part)); // a part is ours only until we ask for the next
    const body = Buffer.concat(parts);
    const digest = new Bun.CryptoHasher("sha256").update(body).digest("hex");
    const there = this.objects.get(key);
    if (there !== undefined) return { outcome: there.digest === digest ? "delivered" : "forked" };
    this.objects.set(key, { lane: batch.lane, name: batch.name, body, digest, records: batch.records, foreign: false });
    return { outcome: "delivered" };
  }

  /** Puts something else where the batch is to go, unless it is there already. */
  plant({ lane, name }: Batch): void {
    const foreign = { lane, name, body: Buffer.from("other"), digest: "other", records: 0, foreign: true };
    if (!this.objects.has(`${lane}/${name}`)) this.objects.set(`${lane}/${name}`, foreign);
  }

  /** What a listing of it gives. */
  readonly holdings: Holdings = holdingsOf(this);
  /** Called before each listing. */
  onList: () => Promise<void> = () => Promise.resolve();

  /** The NDJSON lines of an object, parsed. */
  static records(object: Arrived): Record<string, unknown>[] {
    const text = object.name.endsWith(".zst") ? unzstdAll(object.body) : object.name.endsWith(".gz") ? gunzipSync(object.body) : object.body;
    const lines = text.toString("utf8").split("\n");
    if (lines.pop() !== "") throw new Error(`${object.name} does not end at a line end`);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** All that has arrived, in the order of arrival. */
  all(): Record<string, unknown>[] {
    return [...this.objects.values()].flatMap((object) => (object.foreign ? [] : FarSide.records(object)));
  }
}

function holdingsOf(far: FarSide): Holdings {
  return {
    async *list(wanted) {
      await far.onList();
      for (const { lane, name, body } of far.objects.values()) if (wanted(name)) yield { lane, name, bytes: body.byteLength };
    },
    async describe({ lane, name }) {
      await Promise.resolve();
      const object = far.objects.get(`${lane}/${name}`);
      return object === undefined ? undefined : { digest: object.digest, records: object.records };
    },
    async *read({ lane, name }) {
      await Promise.resolve();
      const body = far.objects.get(`${lane}/${name}`)?.body ?? Buffer.alloc(0);
      for (let at = 0; at < body.byteLength; at += 1000) yield body.subarray(at, at + 1000);
    },
  };
}

/** Frame by frame is not needed: the runtime joins them. */
const unzstdAll = (bytes: Buffer): Buffer => zstdDecompressSync(bytes);

/** What to do with a put: undefined stores it. */
export type Script = (batch: Batch, far: FarSide, signals: Signals) => Promise<Receipt> | undefined;

export const testDelivery: Delivery = {
  codec: "zstd",
  bytesMax: 1 << 20,
  ageMsMax: 20,
  retryMsMin: 10,
  retryMsMax: 40,
  concurrency: 4,
  start: "oldest",
};

/** What a far side that keeps no objects answers when it is asked. */
export type Receiver = () => Promise<Received | undefined>;

/** A kind of sink whose configuration is what delivery needs, and whose far side is given. */
export function scriptedKind(far: FarSide, script: Script = () => undefined, framesMax?: number, receiver?: Receiver): SinkKind<Delivery> {
  return {
    type: "scripted",
    schema: v.custom<Delivery>(() => true),
    delivery: (config) => config,
    check: () => Promise.resolve([]),
    open: () => {
      const sink: Sink = {
        put(batch, signals) {
          const { id, lane, number, epoch, name, digest, ranges, records } = batch;
          far.puts.push({ id, lane, number, epoch, name, digest, ranges, records });
          return script(batch, far, signals) ?? far.store(batch);
        },
        ...(framesMax === undefined ? {} : { framesMax: () => framesMax }),
        ...(receiver === undefined ? { holdings: far.holdings } : { received: receiver }),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
      return Promise.resolve(sink);
    },
  };
}

/** Never answers before `kill`. */
export async function hang(signals: Signals): Promise<Receipt> {
  await orAborted(new Promise<never>(() => {}), signals.kill);
  throw new Error("cut");
}
