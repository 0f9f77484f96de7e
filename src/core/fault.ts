/**
 * Fault: the one class for what goes wrong in operation (disk, network, far side, operator's input).
 *
 * The folder that knows the protocol classifies; the loop that calls it decides and waits; one place logs.
 * Codes are stable and greppable; each has a line in docs/operating.md.
 */

/**
 * What the caller may do about it.
 * - later: keep the data, back off with jitter, retry for as long as it takes.
 * - denied: the same, but health fails at once and the retry comes every `retry.max`.
 * - poison: this data is refused, other data may pass (400, 413, 422 of a receiver).
 * - never: retrying cannot help (usage, configuration, a format from the future).
 */
export type Retry = "later" | "denied" | "poison" | "never";

export interface FaultDetail {
  /** Stable snake_case name, such as `s3_access_denied`. */
  code: string;
  retry: Retry;
  /** Lower-case operation and place, such as `put object raw/a.ndjson.zst`; the cause's words are appended. */
  message: string;
  /** What the operator can do about it, one sentence. */
  hint?: string;
  /** What the far side asked us to wait (Retry-After), in milliseconds. */
  waitMs?: number;
  /** The record of the chunk that is to blame, counted from 1 (only with `poison`). */
  record?: number;
  cause?: unknown;
}

export class Fault extends Error {
  override readonly name = "Fault";
  readonly code: string;
  readonly retry: Retry;
  readonly hint: string | undefined;
  readonly waitMs: number | undefined;
  readonly record: number | undefined;

  constructor(detail: FaultDetail) {
    const cause = detail.cause === undefined ? "" : `: ${describe(detail.cause)}`;
    super(`${detail.message}${cause}`.toWellFormed(), detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = detail.code;
    this.retry = detail.retry;
    this.hint = detail.hint;
    this.waitMs = detail.waitMs;
    this.record = detail.record;
  }
}

/** The words of anything thrown, for a chained message: an errno in words people know, else the message. */
export function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const errno = errnoOf(cause);
  const words = errno === undefined ? undefined : errnoWords[errno];
  if (words !== undefined) return words;
  return cause.message === "" ? cause.name : cause.message;
}

/** Foreign words (an answer's text) made fit for a message or a log line: one line, no control characters, at most `lengthMax` characters. */
export function excerpt(text: string, lengthMax = 300): string {
  const line = text
    .slice(0, lengthMax * 4)
    .replace(/[\s\p{C}]+/gu, " ")
    .trim();
  return line.length <= lengthMax ? line : `${line.slice(0, lengthMax - 1)}…`;
}

/** Anything thrown, as an Error to throw on. */
export function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(describe(cause));
}

/** The errno name (`ENOENT`) of a system error, or undefined. */
export function errnoOf(cause: unknown): string | undefined {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}

/** The disk, or what this user may take of it, is full. */
export function isNoSpace(cause: unknown): boolean {
  return ["ENOSPC", "EDQUOT"].includes(errnoOf(cause) ?? "");
}

const errnoWords: Record<string, string> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  ECONNREFUSED: "connection refused",
  ConnectionRefused: "connection refused",
  ECONNRESET: "connection was cut by the other side",
  EDQUOT: "disk quota exceeded",
  EIO: "input/output error",
  ELOOP: "too many levels of symbolic links",
  ESTALE: "stale file handle",
  EISDIR: "is a directory",
  EMFILE: "too many open files",
  ENAMETOOLONG: "the name is too long",
  ENOENT: "no such file or directory",
  ENOSPC: "no space left on device",
  ENOTDIR: "not a directory",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  // What fetch rejects with: names of its TLS library, of the resolver and of the runtime itself.
  CERT_HAS_EXPIRED: "its certificate has expired",
  CERT_NOT_YET_VALID: "its certificate is not valid yet (is the clock right?)",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed and its issuer not trusted",
  EAI_AGAIN: "name server does not answer",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ENOTFOUND: "host name not found",
  EPROTO: "TLS handshake failed (does it speak TLS on this port?)",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
  FailedToOpenSocket: "no connection could be opened (wrong port, or unusable TLS files)",
  Malformed_HTTP_Response: "its answer is not HTTP",
  SELF_SIGNED_CERT_IN_CHAIN: "the issuer of its certificate is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the issuer of its certificate is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the issuer of its certificate is not trusted",
};
