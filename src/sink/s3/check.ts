/**
 * `check` of an S3 sink: writes a probe below the prefix, looks at it, writes it again on condition, removes it.
 *
 * It asks for nothing that delivery does not need (no ListBucket), and leaves at most one empty object: its name is always the
 * same, and begins with a dot, which Spark, Hive and Athena skip.
 */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import type { Store } from "./client.ts";
import type { Config } from "./config.ts";
import { isForbidden, isNotImplemented, isTaken, refusalOf, toFault } from "./fault.ts";

export async function check(config: Config, context: CheckContext): Promise<Finding[]> {
  const { openStore } = await import("./client.ts");
  const store = openStore(config, context.doors);
  try {
    return await new Probe(store, config, context).run();
  } catch (cause) {
    return [failed(`open bucket ${config.bucket}`, toFault(cause, "open the store", placeOf(config), context.doors.clock.now()))];
  } finally {
    store.close();
  }
}

class Probe {
  readonly #store: Store;
  readonly #config: Config;
  readonly #context: CheckContext;
  readonly #key: string;
  readonly #kill = new AbortController().signal;

  constructor(store: Store, config: Config, context: CheckContext) {
    this.#store = store;
    this.#config = config;
    this.#context = context;
    this.#key = `${config.prefix}.logferry-check-${encodeURIComponent(context.host)}`;
  }

  async run(): Promise<Finding[]> {
    const written = await this.#write();
    if (!written.ok) return [written];
    return [written, await this.#look(), await this.#remove()];
  }

  /** Writes the probe twice: the second time, a store with conditional writes says that the name is taken. */
  async #write(): Promise<Finding> {
    const what = `write an object below ${this.#config.prefix === "" ? "the root" : this.#config.prefix} in bucket ${this.#config.bucket}`;
    try {
      await this.#put(false);
      await this.#put(true);
      return { ok: true, what: `${what} (the store ignores If-None-Match: it cannot be kept from overwriting an object of the same name)` };
    } catch (cause) {
      const refusal = refusalOf(cause);
      if (isTaken(refusal)) return { ok: true, what };
      if (isNotImplemented(refusal) && (await this.#exists())) {
        return { ok: true, what: `${what} (the store has no conditional writes: each object is looked for before it is written)` };
      }
      return this.#failed(what, cause);
    }
  }

  #put(onlyNew: boolean): Promise<void> {
    return this.#store.put(this.#key, new Uint8Array(0), {}, onlyNew, this.#kill);
  }

  async #exists(): Promise<boolean> {
    return this.#store.head(this.#key, this.#kill).then(
      () => true,
      () => false,
    );
  }

  async #look(): Promise<Finding> {
    const what = `look at an object in bucket ${this.#config.bucket}`;
    try {
      await this.#store.head(this.#key, this.#kill);
      return { ok: true, what };
    } catch (cause) {
      if (!isForbidden(refusalOf(cause))) return this.#failed(what, cause);
      const hint = "allow s3:GetObject: when the answer to a write is lost, the object is compared before it counts as delivered";
      return { ...this.#failed(what, cause), hint };
    }
  }

  async #remove(): Promise<Finding> {
    const what = `remove the probe ${this.#key}`;
    try {
      await this.#store.remove(this.#key, this.#kill);
      return { ok: true, what };
    } catch (cause) {
      // Delivery never removes anything, so a policy without it is a good one.
      if (isForbidden(refusalOf(cause)))
        return { ok: true, what: `${what} (may not be removed, it stays as an empty object; delivery does not need s3:DeleteObject)` };
      return this.#failed(what, cause);
    }
  }

  #failed(what: string, cause: unknown): Finding {
    return failed(what, toFault(cause, what, placeOf(this.#config), this.#context.doors.clock.now()));
  }
}

function placeOf({ bucket, prefix, endpoint }: Config) {
  return { bucket, prefix, endpoint };
}

function failed(what: string, fault: Error): Finding {
  if (!(fault instanceof Fault)) throw fault;
  return { ok: false, what, code: fault.code, message: fault.message, hint: fault.hint ?? "" };
}
