/**
 * What an answer of the store means: every refusal by status and error code, as later or denied.
 *
 * S3 knows no poison: it never looks into an object. What is not listed is denied, so that it is kept, shown at once and
 * tried again, whatever a store invents. An expired token is `later` although it comes as a 400: the chain renews it.
 */
import { Bug } from "../../core/assert.ts";
import { Cut } from "../../core/deadline.ts";
import { excerpt, Fault, type Retry } from "../../core/fault.ts";
import { retryAfterMs } from "../../core/retry.ts";
import { Unreachable } from "./handler.ts";

/** An answer that was not a success. */
export interface Refusal {
  readonly status: number;
  /** `AccessDenied`; for an answer without a body, what the SDK makes of the status. */
  readonly code: string;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The answer's text, which names what the SDK does not keep. */
  readonly text: string;
}

/** The answer behind an error of the SDK; undefined when there was none. */
export function refusalOf(cause: unknown): Refusal | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { $metadata, $response } = cause as Error & {
    $metadata?: { httpStatusCode?: number };
    $response?: { statusCode?: number; headers?: Record<string, string>; body?: unknown };
  };
  const status = $response?.statusCode ?? $metadata?.httpStatusCode;
  if (status === undefined) return undefined;
  const text = $response?.body instanceof Uint8Array ? new TextDecoder().decode($response.body) : "";
  return { status, code: cause.name, message: cause.message, headers: $response?.headers ?? {}, text };
}

/** An object of this name is there. */
export const isTaken = (refusal: Refusal | undefined): boolean => refusal?.status === 412;
export const isMissing = (refusal: Refusal | undefined): boolean => refusal?.status === 404 && refusal.code !== "NoSuchBucket";
export const isForbidden = (refusal: Refusal | undefined): boolean => refusal?.status === 403;
export const isNoSuchUpload = (refusal: Refusal | undefined): boolean => refusal?.code === "NoSuchUpload";
/** A header it does not know, or a whole operation. */
export const isNotImplemented = (refusal: Refusal | undefined): boolean => refusal?.status === 501 || refusal?.code === "NotImplemented";
/** A bucket with Object Lock takes objects and parts only with a checksum header of its own. */
export const asksForMd5 = (refusal: Refusal | undefined): boolean => refusal?.status === 400 && refusal.message.includes("Content-MD5");

/** Where the sink writes, for the hints. */
export interface Place {
  readonly bucket: string;
  readonly prefix: string;
  readonly endpoint: string | undefined;
  /** The permission the operation takes; `s3:PutObject` on the prefix when left out. */
  readonly needs?: string;
}

interface Verdict {
  readonly code: string;
  readonly retry: Retry;
  readonly hint: string;
}

/** The Fault for anything `operation` (`put object raw/a`) failed with. A Fault and a Bug pass as they are. */
export function toFault(cause: unknown, operation: string, place: Place, nowMs: number): Error {
  if (cause instanceof Fault || cause instanceof Bug) return cause;
  const refusal = refusalOf(cause);
  const verdict = refusal === undefined ? withoutAnswer(cause, place) : (byCode(refusal, place) ?? byStatus(refusal, place));
  const waitMs = retryAfterMs(refusal?.headers["retry-after"], nowMs);
  return new Fault({
    ...verdict,
    message: operation,
    cause: refusal === undefined ? wordsWithoutAnswer(cause) : new Error(wordsOf(refusal), { cause }),
    ...(waitMs === undefined ? {} : { waitMs }),
  });
}

function wordsOf(refusal: Refusal): string {
  const message = excerpt(refusal.message);
  const code = /^\d*$|^Unknown/.test(refusal.code) ? "" : ` ${excerpt(refusal.code, 60)}`;
  return `answered ${refusal.status}${code}${message === "" || message === refusal.code ? "" : `: ${message}`}`;
}

function wordsWithoutAnswer(cause: unknown): unknown {
  return cause instanceof Unreachable ? cause.cause : cause;
}

function withoutAnswer(cause: unknown, { endpoint }: Place): Verdict {
  const name = cause instanceof Error ? cause.name : "";
  const message = cause instanceof Error ? cause.message : "";
  if (cause instanceof Unreachable || cause instanceof Cut) {
    return {
      code: "s3_unreachable",
      retry: "later",
      hint: `check that ${endpoint ?? "the S3 endpoint"} runs, and the way to it: name, network, proxy, firewall; it is tried again by itself`,
    };
  }
  if (/CredentialsProviderError|TokenProviderError/.test(name) || /credential/i.test(message)) {
    return {
      code: "s3_no_credentials",
      retry: "denied",
      hint: "set access_key_id_file and secret_access_key_file, or give the standard chain something to find: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE with ~/.aws, a web identity token, a container or instance role",
    };
  }
  if (/region is missing/i.test(message)) return { code: "s3_no_region", retry: "denied", hint: "set region of this sink, or AWS_REGION" };
  return { code: "s3_unexpected_answer", retry: "denied", hint: "the request could not be made; the message says why" };
}

const slowDown = new Set([
  "SlowDown",
  "ServiceUnavailable",
  "Throttling",
  "ThrottlingException",
  "RequestLimitExceeded",
  "TooManyRequests",
  "BandwidthLimitExceeded",
  "RequestThrottled",
]);
const expired = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"]);
const damaged = new Set(["BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "XAmzContentChecksumMismatch"]);
const passing = new Set(["InternalError", "OperationAborted", "RequestTimeout", "RequestTimeoutException"]);
const denied = new Set([
  "AccessDenied",
  "AccountProblem",
  "AllAccessDisabled",
  "Forbidden",
  "InvalidToken",
  "Unauthorized",
  "UnauthorizedAccess",
  "InvalidObjectState",
]);
const elsewhere = new Set([
  "PermanentRedirect",
  "TemporaryRedirect",
  "Redirect",
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
]);

const needsOf = ({ bucket, prefix, needs = `s3:PutObject on ${bucket}/${prefix}*` }: Place): string => needs;

function byCode({ code, headers, text }: Refusal, place: Place): Verdict | undefined {
  const { bucket } = place;
  if (expired.has(code))
    return {
      code: "s3_token_expired",
      retry: "later",
      hint: "the credentials are renewed by themselves; if this stays, renew the session they come from",
    };
  if (slowDown.has(code))
    return {
      code: "s3_slow_down",
      retry: "later",
      hint: "the store asks for fewer requests; larger batches (batch.bytes_max, batch.age_max) make fewer",
    };
  if (passing.has(code)) return { code: "s3_server_error", retry: "later", hint: "the store has a passing fault; it is tried again by itself" };
  if (damaged.has(code))
    return {
      code: "s3_damaged_on_the_way",
      retry: "later",
      hint: "the bytes that arrived are not those that were sent; a proxy that changes bodies, or bad memory, if this stays",
    };
  // NoSuchKey answers a conditional write when somebody removed the object at the same moment.
  if (code === "ConditionalRequestConflict" || code === "NoSuchKey")
    return {
      code: "s3_write_conflict",
      retry: "later",
      hint: "somebody wrote or removed the same object at the same moment; it is tried again by itself",
    };
  if (code === "NoSuchUpload")
    return {
      code: "s3_upload_gone",
      retry: "later",
      hint: "the store forgot the upload in parts (a lifecycle rule that is too quick?); it is begun anew by itself",
    };
  if (code === "NoSuchBucket")
    return { code: "s3_no_such_bucket", retry: "denied", hint: `make the bucket ${bucket}, or correct bucket, region or endpoint` };
  if (code === "RequestTimeTooSkewed")
    return {
      code: "s3_clock_skewed",
      retry: "denied",
      hint: "set this machine's clock (NTP): S3 refuses requests that are more than 15 minutes off",
    };
  if (code === "SignatureDoesNotMatch")
    return {
      code: "s3_access_denied",
      retry: "denied",
      hint: "the secret access key does not belong to the access key id; check both, and that no proxy changes requests",
    };
  // XAdminUserNotFound is versitygw's word for it, with a 404.
  if (code === "InvalidAccessKeyId" || code === "XAdminUserNotFound")
    return { code: "s3_access_denied", retry: "denied", hint: "the store does not know this access key id; check it and the endpoint" };
  if (denied.has(code))
    return {
      code: "s3_access_denied",
      retry: "denied",
      hint: `allow ${needsOf(place)} for these credentials (and the use of the key, if the bucket is encrypted with one)`,
    };
  if (!elsewhere.has(code)) return undefined;
  const region = headers["x-amz-bucket-region"] ?? /<Region>([\w-]{1,40})<\/Region>/.exec(text)?.[1];
  const endpoint = /<Endpoint>([\w.:-]{1,120})<\/Endpoint>/.exec(text)?.[1];
  const where =
    region !== undefined
      ? `set region: ${region}`
      : endpoint !== undefined
        ? `the bucket is reached at ${endpoint}`
        : "set region to the bucket's own";
  return { code: "s3_wrong_region", retry: "denied", hint: `the bucket ${bucket} is in another region; ${where}` };
}

function byStatus({ status, headers }: Refusal, place: Place): Verdict {
  const { bucket } = place;
  if (status === 429)
    return {
      code: "s3_slow_down",
      retry: "later",
      hint: "the store asks for fewer requests; larger batches (batch.bytes_max, batch.age_max) make fewer",
    };
  if (status === 501)
    return {
      code: "s3_unexpected_answer",
      retry: "denied",
      hint: "the store lacks something this sink asks for; leave out storage_class, sse or tags",
    };
  if (status === 503) return { code: "s3_slow_down", retry: "later", hint: "the store is overloaded or away; it is tried again by itself" };
  if (status >= 500 || status === 408)
    return { code: "s3_server_error", retry: "later", hint: "the store has a passing fault; it is tried again by itself" };
  if (status === 401 || status === 403) return { code: "s3_access_denied", retry: "denied", hint: `allow ${needsOf(place)} for these credentials` };
  if (status === 301 || status === 307 || status === 308) {
    const region = headers["x-amz-bucket-region"];
    return {
      code: "s3_wrong_region",
      retry: "denied",
      hint: `the bucket ${bucket} is reached elsewhere; ${region === undefined ? "correct region or endpoint" : `set region: ${region}`}`,
    };
  }
  return { code: "s3_unexpected_answer", retry: "denied", hint: "the store refuses the object; its own words are in the message" };
}
