/**
 * Sink `s3`: one object a batch, in AWS S3 or any store that speaks its protocol.
 *
 * Promises what upload.ts does about a delivery, and about everything else that every answer has a code, a verdict (later or
 * denied, never poison) and a hint (fault.ts). The SDK is loaded when the first S3 sink is opened, not before.
 */
import type { Batch, Receipt, Sink, SinkContext, SinkKind } from "../../core/contract.ts";
import type { Holdings } from "../../core/holdings.ts";
import { Fault } from "../../core/fault.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { deliveryOf } from "../schema.ts";
import { check } from "./check.ts";
import type { Store } from "./client.ts";
import { schema, type Config } from "./config.ts";
import { toFault } from "./fault.ts";
import { holdingsOf } from "./holdings.ts";
import { BodyFailed, Uploader } from "./upload.ts";

export const s3: SinkKind<Config> = {
  type: "s3",
  schema,
  delivery: (config) => deliveryOf(config),
  async open(config, context) {
    const { openStore } = await import("./client.ts");
    return new S3Sink(config, context, openStore(config, context.doors));
  },
  check,
};

class S3Sink implements Sink {
  readonly #config: Config;
  readonly #context: SinkContext;
  readonly #store: Store;
  readonly #uploader: Uploader;
  readonly holdings: Holdings;

  constructor(config: Config, context: SinkContext, store: Store) {
    this.#config = config;
    this.#context = context;
    this.#store = store;
    this.holdings = holdingsOf(config, store, () => context.doors.clock.now());
    this.#uploader = new Uploader({ store, partBytes: config.part_bytes, log: context.log.with({ component: `sinks.${context.name}` }) });
  }

  async put(batch: Batch, signals: Signals): Promise<Receipt> {
    const { bucket, prefix, endpoint } = this.#config;
    const key = `${prefix}${batch.lane}/${batch.name}`;
    try {
      // A body that does not come is cut as well: the spool's disk may hang.
      const receipt = await orAborted(this.#uploader.put(batch, key, signals.kill), signals.kill);
      if (receipt !== undefined) return receipt;
    } catch (cause) {
      if (cause instanceof BodyFailed) throw cause.cause;
      if (!signals.kill.aborted) throw toFault(cause, `put object ${bucket}/${key}`, { bucket, prefix, endpoint }, this.#context.doors.clock.now());
    }
    throw new Fault({ code: "delivery_cut", retry: "later", message: `put object ${bucket}/${key}: cut by shutdown` });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#store.close();
  }
}
