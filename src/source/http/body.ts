/**
 * The body of a request: read within its bounds, its digest compared, decoded within its bounds.
 *
 * Memory: what is read and what was decoded counts towards the budget of all requests; two bodies at a time are being decoded,
 * each into at most `bytesMax`, which comes on top until it is known how much it was.
 */
import type { Compress } from "../../core/compress.ts";
import { describe, errnoOf } from "../../core/fault.ts";
import { later, refuse, tooLarge } from "./answer.ts";
import { Gate, type Lease } from "./budget.ts";

export type Encoding = "zstd" | "gzip" | "identity";

/** At most so many at a time: one core decodes one, the other goes on. */
const decodersMax = 2;
const gate = new Gate(decodersMax);

/** The encoding a request names, or the refusal of one that is not known here. */
export function encodingOf(headers: Headers): Encoding | Response {
  const named = (headers.get("content-encoding") ?? "").trim().toLowerCase();
  if (named === "" || named === "identity") return "identity";
  if (named === "zstd") return "zstd";
  if (named === "gzip" || named === "x-gzip") return "gzip";
  return refuse({
    status: 415,
    code: "http_encoding_unsupported",
    error: `content-encoding ${named.slice(0, 60)} is not known here`,
    hint: "send zstd, gzip, or no content-encoding",
    headers: { "Accept-Encoding": "zstd, gzip, identity" },
  });
}

/** All bytes as sent, or why they are not taken. */
export async function readBody(request: Request, bytesMax: number, lease: Lease): Promise<Uint8Array | Response> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return tooLarge("the body is too large", bytesMax);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of request.body ?? []) {
      bytes += part.byteLength;
      if (bytes > bytesMax) return tooLarge("the body is too large", bytesMax);
      if (!lease.grow(part.byteLength)) return later("http_overloaded", "too many bodies at once", 2);
      parts.push(part);
    }
  } catch (cause) {
    // The sender has gone: nobody reads this answer.
    return refuse({ status: 400, code: "http_body_damaged", error: `the body broke off: ${describe(cause)}`, hint: "send it again" });
  }
  return Buffer.concat(parts);
}

/** Compares the body as sent with the `Logferry-Digest` of the request, if it has one. Returns `sha256:hex`, or the refusal. */
export async function checkDigest(body: Uint8Array, stated: string | null): Promise<string | Response> {
  const found = `sha256:${Buffer.from(await crypto.subtle.digest("SHA-256", body as Uint8Array<ArrayBuffer>)).toString("hex")}`;
  if (stated === null || stated.toLowerCase() === found) return found;
  return refuse({
    status: 400,
    code: "digest_mismatch",
    error: "the body is not the one that Logferry-Digest names",
    hint: "something between sender and receiver changes bodies: a proxy that compresses or decompresses, for example",
  });
}

/** The body without its encoding, or why it cannot be had. */
export function decode(body: Uint8Array, encoding: Encoding, bytesMax: number, lease: Lease, compress: Compress): Promise<Uint8Array | Response> {
  if (encoding === "identity" || body.length === 0) return Promise.resolve(body);
  return gate.pass(async () => {
    try {
      const decoded = await (encoding === "zstd" ? compress.unzstd(body, bytesMax) : compress.gunzip(body, bytesMax));
      return lease.grow(decoded.byteLength) ? decoded : later("http_overloaded", "too many bodies at once", 2);
    } catch (cause) {
      if (errnoOf(cause) === "ERR_BUFFER_TOO_LARGE") return tooLarge("the decoded body is too large", bytesMax);
      return refuse({
        status: 400,
        code: "http_body_damaged",
        error: `the body is not ${encoding}: ${describe(cause)}`,
        hint: "send whole frames of the encoding that content-encoding names",
      });
    }
  });
}
