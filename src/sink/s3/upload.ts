/**
 * How a batch becomes an object: whole up to `part_bytes`, in parts above. Promises, for both ways:
 *
 * - Delivered means the object stands under its key with the batch's digest in its metadata, and was not there with
 *   another one: writes carry `If-None-Match: *`, and on 412 the digest decides between delivered and forked.
 * - A store without conditional writes is asked for the object first. Two writers at the same moment are not told apart
 *   then; the key holds the spool's id and epoch, so a second writer would be a copied spool.
 * - Memory is one body of at most `part_bytes`.
 * - An upload in parts leaves its id in the journal before its first part; the next try aborts it and begins anew. An upload
 *   the store does not know any more may have been completed with the answer lost: then the object is looked for.
 */
import { assert } from "../../core/assert.ts";
import type { Batch, Json, Receipt } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { lend } from "../../core/lend.ts";
import type { Log } from "../../core/log.ts";
import type { Metadata, Store } from "./client.ts";
import { isForbidden, isMissing, isNoSuchUpload, isNotImplemented, isTaken, refusalOf } from "./fault.ts";

/** Metadata of every object: SHA-256 of its bytes, hex, and how many records it has. */
export const digestName = "logferry-sha256";
export const recordsName = "logferry-records";

/** The batch's own body could not be had: `cause` is the delivery loop's business, and no answer of the store. */
export class BodyFailed extends Error {
  override readonly name = "BodyFailed";
}

export interface UploadOptions {
  readonly store: Store;
  readonly partBytes: number;
  readonly log: Log;
}

export class Uploader {
  readonly #store: Store;
  readonly #partBytes: number;
  readonly #log: Log;
  /** Until the store says that it has no conditional writes. */
  #conditional = true;

  constructor({ store, partBytes, log }: UploadOptions) {
    this.#store = store;
    this.#partBytes = partBytes;
    this.#log = log;
  }

  /** Delivers `batch` as the object `key`, or rejects with what the store's call rejected with. */
  put(batch: Batch, key: string, kill: AbortSignal): Promise<Receipt> {
    return batch.bytes <= this.#partBytes ? this.#putWhole(batch, key, kill) : this.#putParts(batch, key, kill);
  }

  async #putWhole(batch: Batch, key: string, kill: AbortSignal): Promise<Receipt> {
    using lent = lend(batch.bytes);
    const { bytes } = lent;
    let length = 0;
    for await (const piece of piecesOf(batch)) {
      assert(length + piece.byteLength <= batch.bytes, "the body of a batch is longer than planned");
      bytes.set(piece, length);
      length += piece.byteLength;
    }
    assert(length === batch.bytes, "the body of a batch is shorter than planned");
    return await this.#onlyNew(batch, key, kill, (onlyNew) => this.#store.put(key, bytes, metadataOf(batch), onlyNew, kill, batch.digest));
  }

  async #putParts(batch: Batch, key: string, kill: AbortSignal): Promise<Receipt> {
    const earlier = uploadOf(batch.note);
    if (earlier !== undefined && !(await this.#abort(key, earlier, kill))) {
      const found = await this.#receipt(batch, key, kill, "unknown");
      if (found !== undefined) return found;
    }
    const upload = await this.#store.createUpload(key, metadataOf(batch), kill);
    await batch.setNote({ upload });
    try {
      const etags: string[] = [];
      for await (const part of cut(batch, this.#partBytes)) etags.push(await this.#store.putPart(key, upload, etags.length + 1, part, kill));
      let completed = false;
      const receipt = await this.#onlyNew(batch, key, kill, async (onlyNew) => {
        await this.#store.completeUpload(key, upload, etags, onlyNew, kill);
        completed = true;
      });
      // The object stood there already: what was uploaded now is of no use, and would be paid for.
      if (!completed) await this.#abort(key, upload, kill);
      return receipt;
    } catch (cause) {
      if (!isNoSuchUpload(refusalOf(cause))) throw cause;
      const found = await this.#receipt(batch, key, kill, "unknown");
      if (found === undefined) throw cause;
      return found;
    }
  }

  /** Runs `write` so that it makes a new object or none, and says what stands there then. */
  async #onlyNew(batch: Batch, key: string, kill: AbortSignal, write: (onlyNew: boolean) => Promise<void>): Promise<Receipt> {
    const conditional = this.#conditional;
    if (conditional) {
      try {
        await write(true);
        return { outcome: "delivered" };
      } catch (cause) {
        const refusal = refusalOf(cause);
        if (isTaken(refusal)) return this.#taken(batch, key, kill);
        if (!isNotImplemented(refusal)) throw cause;
      }
    }
    const found = await this.#receipt(batch, key, kill, "refuse");
    if (found !== undefined) return found;
    await write(false);
    if (conditional && this.#conditional) {
      // Only now is it sure that the condition was what it lacked.
      this.#conditional = false;
      this.#log.warn("the store has no conditional writes (If-None-Match): each object is looked for before it is written");
    }
    return { outcome: "delivered" };
  }

  async #taken(batch: Batch, key: string, kill: AbortSignal): Promise<Receipt> {
    const found = await this.#receipt(batch, key, kill, "refuse");
    if (found !== undefined) return found;
    throw new Fault({
      code: "s3_write_conflict",
      retry: "later",
      message: `put object ${key}: it was there and is gone again`,
      hint: "something else removes objects below the prefix; it is tried again by itself",
    });
  }

  /** What stands under `key`: this batch, another one, or nothing. A store that forbids to look: nothing, or a Fault, as told. */
  async #receipt(batch: Batch, key: string, kill: AbortSignal, whenForbidden: "unknown" | "refuse"): Promise<Receipt | undefined> {
    try {
      const metadata = await this.#store.head(key, kill);
      return { outcome: metadata[digestName] === batch.digest ? "delivered" : "forked" };
    } catch (cause) {
      const refusal = refusalOf(cause);
      if (isMissing(refusal)) return undefined;
      if (!isForbidden(refusal)) throw cause;
      if (whenForbidden === "unknown") return undefined;
      throw new Fault({
        code: "s3_access_denied",
        retry: "denied",
        message: `look at object ${key}: answered 403`,
        hint: "allow s3:GetObject (and s3:ListBucket, to tell missing from forbidden): an object of this name may be there, and must be compared before it counts as delivered",
        cause,
      });
    }
  }

  /** Aborts an upload; false when the store does not know it. One that may not be aborted is left to the bucket's lifecycle rule. */
  async #abort(key: string, upload: string, kill: AbortSignal): Promise<boolean> {
    try {
      await this.#store.abortUpload(key, upload, kill);
      return true;
    } catch (cause) {
      const refusal = refusalOf(cause);
      if (isNoSuchUpload(refusal) || isMissing(refusal)) return false;
      if (!isForbidden(refusal)) throw cause;
      this.#log.warn("an unfinished upload may not be aborted: allow s3:AbortMultipartUpload, or let a lifecycle rule remove it", { key });
      return true;
    }
  }
}

async function* piecesOf(batch: Batch): AsyncGenerator<Uint8Array> {
  try {
    yield* batch.body();
  } catch (cause) {
    throw new BodyFailed("read the body of a batch", { cause });
  }
}

function metadataOf(batch: Batch): Metadata {
  return { [digestName]: batch.digest, [recordsName]: String(batch.records) };
}

function uploadOf(note: Json | undefined): string | undefined {
  if (typeof note !== "object" || note === null || Array.isArray(note)) return undefined;
  const { upload } = note as { readonly upload?: Json };
  return typeof upload === "string" ? upload : undefined;
}

/**
 * The body in parts of exactly `partBytes`, the last one shorter (R2 wants them equal). Each part is the same buffer:
 * it is good until the next one is asked for.
 */
async function* cut(batch: Batch, partBytes: number): AsyncGenerator<Uint8Array> {
  using lent = lend(partBytes);
  const part = lent.bytes;
  let length = 0;
  for await (const piece of piecesOf(batch)) {
    for (let at = 0; at < piece.byteLength;) {
      const taken = Math.min(partBytes - length, piece.byteLength - at);
      part.set(piece.subarray(at, at + taken), length);
      at += taken;
      length += taken;
      if (length < partBytes) continue;
      yield part;
      length = 0;
    }
  }
  if (length > 0) yield part.subarray(0, length);
}
