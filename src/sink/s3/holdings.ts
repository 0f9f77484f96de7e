/**
 * What a bucket has below the prefix of an `s3` sink: listed page by page, every time. Takes s3:ListBucket, and s3:GetObject for
 * what is looked at or read; a fault names the one that is missing.
 */
import type { Held, Holdings } from "../../core/holdings.ts";
import { Fault } from "../../core/fault.ts";
import type { Store } from "./client.ts";
import type { Config } from "./config.ts";
import { isMissing, refusalOf, toFault } from "./fault.ts";
import { digestName, recordsName } from "./upload.ts";

/** One request for most objects of a quiet host; a large one is never in memory whole. */
const pieceBytes = 4 * 2 ** 20;

export function holdingsOf({ bucket, prefix, endpoint }: Config, store: Store, now: () => number): Holdings {
  const keyOf = (held: Held): string => `${prefix}${held.lane}/${held.name}`;
  const failed = (cause: unknown, operation: string, needs: string): Error => toFault(cause, operation, { bucket, prefix, endpoint, needs }, now());
  return {
    async *list(wanted, kill) {
      for (let from: string | undefined, first = true; (first || from !== undefined) && !kill.aborted; first = false) {
        const page = await store.list(prefix, from, kill).catch((cause: unknown) => {
          throw failed(cause, `list objects ${bucket}/${prefix}`, `s3:ListBucket on ${bucket}`);
        });
        for (const { key, bytes } of page.objects) {
          const slash = key.lastIndexOf("/");
          const name = key.slice(slash + 1);
          if (slash >= prefix.length && !name.startsWith(".") && wanted(name)) yield { lane: key.slice(prefix.length, slash), name, bytes };
        }
        from = page.next;
      }
    },
    async describe(held, kill) {
      try {
        const metadata = await store.head(keyOf(held), kill);
        const records = metadata[recordsName];
        return { digest: metadata[digestName], records: records !== undefined && /^\d{1,15}$/.test(records) ? Number(records) : undefined };
      } catch (cause) {
        if (isMissing(refusalOf(cause))) return undefined;
        throw failed(cause, `look at object ${bucket}/${keyOf(held)}`, `s3:GetObject on ${bucket}/${prefix}*`);
      }
    },
    async *read(held, kill) {
      for (let at = 0; at < held.bytes;) {
        const piece = await store.read(keyOf(held), at, Math.min(held.bytes, at + pieceBytes) - 1, kill).catch((cause: unknown) => {
          throw failed(cause, `read object ${bucket}/${keyOf(held)}`, `s3:GetObject on ${bucket}/${prefix}*`);
        });
        if (piece.byteLength === 0) throw shorter(`${bucket}/${keyOf(held)}`);
        yield piece;
        at += piece.byteLength;
      }
    },
  };
}

const shorter = (key: string): Fault =>
  new Fault({
    code: "s3_unexpected_answer",
    retry: "later",
    message: `read object ${key}: it ends before its length`,
    hint: "somebody wrote it anew while it was read; it is tried again by itself",
  });
