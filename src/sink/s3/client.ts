/**
 * The store as this sink needs it, by the AWS SDK. The one file that imports the SDK, and itself only imported when an S3
 * sink is opened (`await import`): it costs about 17 MB of resident memory once loaded.
 *
 * Each call is one request with a time limit, never retried here, cut by `kill`, and rejects with the SDK's error
 * (`refusalOf` reads it), `Unreachable`, `Cut`, or a Fault of the secret files.
 *
 * Checksums (docs/decisions/s3-checksums.md): the SHA-256 of every body is in the signed header x-amz-content-sha256,
 * which each store verifies; no further checksum is sent unless a bucket with Object Lock asks for one, then Content-MD5.
 */
import { createHash } from "node:crypto";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { withDeadline } from "../../core/deadline.ts";
import type { Doors } from "../../core/doors.ts";
import { Fault } from "../../core/fault.ts";
import { openSecret, type Secret } from "../../core/secret.ts";
import type { Config } from "./config.ts";
import { asksForMd5, refusalOf } from "./fault.ts";
import { networkHandler } from "./handler.ts";

/** User metadata of an object: names in lower case, text in ASCII. */
export type Metadata = Readonly<Record<string, string>>;

export interface Page {
  readonly objects: readonly { readonly key: string; readonly bytes: number }[];
  readonly next: string | undefined;
}

export interface Store {
  /** PutObject; `onlyNew` with If-None-Match. `sha256` (hex) of `bytes` where it is known already. */
  put(key: string, bytes: Uint8Array, metadata: Metadata, onlyNew: boolean, kill: AbortSignal, sha256?: string): Promise<void>;
  /** HeadObject: the object's metadata. */
  head(key: string, kill: AbortSignal): Promise<Metadata>;
  /** ListObjectsV2: a page of up to a thousand objects, and where the next one begins. */
  list(prefix: string, from: string | undefined, kill: AbortSignal): Promise<Page>;
  /** GetObject of the bytes `first` to `last`, both included. */
  read(key: string, first: number, last: number, kill: AbortSignal): Promise<Uint8Array>;
  remove(key: string, kill: AbortSignal): Promise<void>;
  /** CreateMultipartUpload: the upload's id. */
  createUpload(key: string, metadata: Metadata, kill: AbortSignal): Promise<string>;
  /** UploadPart, counted from 1: the part's ETag. */
  putPart(key: string, upload: string, number: number, bytes: Uint8Array, kill: AbortSignal): Promise<string>;
  /** CompleteMultipartUpload of the parts 1, 2, … with these ETags. */
  completeUpload(key: string, upload: string, etags: readonly string[], onlyNew: boolean, kill: AbortSignal): Promise<void>;
  abortUpload(key: string, upload: string, kill: AbortSignal): Promise<void>;
  close(): void;
}

/** An answer takes a minute at most; completing an upload makes the store join its parts, which may take several. */
const answerMsMax = 60_000;
const completeMsMax = 5 * 60_000;

/** Time for a body on top: 32 bytes a millisecond (256 kbit/s), a line that could not carry its logs below that anyway. */
const bodyBytesPerMs = 32;

export function openStore(config: Config, doors: Doors): Store {
  return new SdkStore(config, doors);
}

class SdkStore implements Store {
  readonly #client: S3Client;
  readonly #config: Config;
  readonly #doors: Doors;
  /** Learned from the first answer that asks for it. */
  #md5 = false;

  constructor(config: Config, doors: Doors) {
    this.#config = config;
    this.#doors = doors;
    this.#client = new S3Client(clientConfig(config, doors));
  }

  async put(key: string, bytes: Uint8Array, metadata: Metadata, onlyNew: boolean, kill: AbortSignal, sha256?: string): Promise<void> {
    await this.#withMd5(bytes, (md5) => {
      const command = new PutObjectCommand({
        ...this.#object(key, metadata),
        Body: bytes,
        ContentLength: bytes.byteLength,
        ...(onlyNew ? { IfNoneMatch: "*" } : {}),
        ...md5,
      });
      if (sha256 !== undefined) command.middlewareStack.add(signedDigest(sha256), { step: "build" });
      return this.#within(answerMsMax + bytes.byteLength / bodyBytesPerMs, kill, (options) => this.#client.send(command, options));
    });
  }

  async head(key: string, kill: AbortSignal): Promise<Metadata> {
    const found = await this.#within(answerMsMax, kill, (options) => this.#client.send(new HeadObjectCommand(this.#at(key)), options));
    return found.Metadata ?? {};
  }

  async list(prefix: string, from: string | undefined, kill: AbortSignal): Promise<Page> {
    const command = new ListObjectsV2Command({
      Bucket: this.#config.bucket,
      Prefix: prefix,
      ...(from === undefined ? {} : { ContinuationToken: from }),
    });
    const page = await this.#within(answerMsMax, kill, (options) => this.#client.send(command, options));
    const objects = (page.Contents ?? []).map(({ Key = "", Size = 0 }) => ({ key: Key, bytes: Size }));
    return { objects, next: page.IsTruncated === true ? page.NextContinuationToken : undefined };
  }

  async read(key: string, first: number, last: number, kill: AbortSignal): Promise<Uint8Array> {
    const command = new GetObjectCommand({ ...this.#at(key), Range: `bytes=${first}-${last}` });
    return this.#within(answerMsMax + (last - first) / bodyBytesPerMs, kill, async (options) => {
      const { Body } = await this.#client.send(command, options);
      return (await Body?.transformToByteArray()) ?? new Uint8Array(0);
    });
  }

  async remove(key: string, kill: AbortSignal): Promise<void> {
    await this.#within(answerMsMax, kill, (options) => this.#client.send(new DeleteObjectCommand(this.#at(key)), options));
  }

  async createUpload(key: string, metadata: Metadata, kill: AbortSignal): Promise<string> {
    const command = new CreateMultipartUploadCommand(this.#object(key, metadata));
    const made = await this.#within(answerMsMax, kill, (options) => this.#client.send(command, options));
    if (made.UploadId === undefined) throw new Error("the store named no upload id");
    return made.UploadId;
  }

  async putPart(key: string, upload: string, number: number, bytes: Uint8Array, kill: AbortSignal): Promise<string> {
    const stored = await this.#withMd5(bytes, (md5) => {
      const command = new UploadPartCommand({
        ...this.#at(key),
        UploadId: upload,
        PartNumber: number,
        Body: bytes,
        ContentLength: bytes.byteLength,
        ...md5,
      });
      return this.#within(answerMsMax + bytes.byteLength / bodyBytesPerMs, kill, (options) => this.#client.send(command, options));
    });
    if (stored.ETag === undefined) throw new Error("the store gave no ETag for a part");
    return stored.ETag;
  }

  async completeUpload(key: string, upload: string, etags: readonly string[], onlyNew: boolean, kill: AbortSignal): Promise<void> {
    const command = new CompleteMultipartUploadCommand({
      ...this.#at(key),
      UploadId: upload,
      MultipartUpload: { Parts: etags.map((etag, index) => ({ ETag: etag, PartNumber: index + 1 })) },
      ...(onlyNew ? { IfNoneMatch: "*" } : {}),
    });
    await this.#within(completeMsMax, kill, (options) => this.#client.send(command, options));
  }

  async abortUpload(key: string, upload: string, kill: AbortSignal): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#at(key), UploadId: upload });
    await this.#within(answerMsMax, kill, (options) => this.#client.send(command, options));
  }

  close(): void {
    this.#client.destroy();
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#config.bucket, Key: key };
  }

  /**
   * What an object is made with. No Content-Encoding: a reader's HTTP library would decode it, and then Spark or DuckDB,
   * which go by the name's suffix, would try again.
   */
  #object(key: string, metadata: Metadata) {
    const { storage_class, sse, sse_kms_key_id, tags } = this.#config;
    return {
      ...this.#at(key),
      ContentType: "application/x-ndjson",
      Metadata: { ...metadata },
      // Stores other than AWS have classes of their own: the text is passed on as it is.
      ...(storage_class === undefined ? {} : { StorageClass: storage_class as "STANDARD" }),
      ...(sse === undefined ? {} : { ServerSideEncryption: sse }),
      ...(sse_kms_key_id === undefined ? {} : { SSEKMSKeyId: sse_kms_key_id }),
      ...(tags === undefined ? {} : { Tagging: new URLSearchParams(tags).toString() }),
    };
  }

  #within<T>(ms: number, kill: AbortSignal, send: (options: { abortSignal: AbortSignal }) => Promise<T>): Promise<T> {
    return withDeadline(this.#doors.clock, ms, kill, (abortSignal) => send({ abortSignal }));
  }

  async #withMd5<T>(bytes: Uint8Array, send: (md5: { ContentMD5?: string }) => Promise<T>): Promise<T> {
    if (!this.#md5) {
      try {
        return await send({});
      } catch (cause) {
        if (!asksForMd5(refusalOf(cause))) throw cause;
        this.#md5 = true;
      }
    }
    return send({ ContentMD5: createHash("md5").update(bytes).digest("base64") });
  }
}

function clientConfig(config: Config, { disk, network }: Doors): S3ClientConfig {
  const { access_key_id_file, secret_access_key_file, endpoint } = config;
  const region = config.region ?? (endpoint === undefined ? undefined : "us-east-1");
  return {
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: config.path_style,
    requestHandler: networkHandler(network),
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // Bodies are sent at once: fetch does not wait for a 100.
    expectContinueHeader: false,
    // The delivery loop retries: with the backoff, the limits and the signals of this house.
    maxAttempts: 1,
    ...(access_key_id_file === undefined || secret_access_key_file === undefined
      ? {}
      : { credentials: fileCredentials(openSecret(disk, access_key_id_file), openSecret(disk, secret_access_key_file)) }),
  };
}

/** Credentials of the two files. An expiry in the past makes the SDK ask again for every request, so that a change is seen. */
function fileCredentials(id: Secret, secret: Secret) {
  return async () => ({ accessKeyId: await keyIn(id), secretAccessKey: await keyIn(secret), expiration: new Date(0) });
}

/** Two keys in one file, or a line of an environment file broken in two, would fail as a header or a signature that nobody understands. */
async function keyIn(file: Secret): Promise<string> {
  const key = await file.read();
  if (/^[\x21-\x7e]+$/.test(key)) return key;
  throw new Fault({
    code: "s3_no_credentials",
    retry: "denied",
    message: `read key from ${file.path}: holds more than one word`,
    hint: "the file must hold the key on one line and nothing else; it is read again by itself",
  });
}

/** Puts the digest into the request before it is signed: the signer then need not hash the body once more. */
function signedDigest(sha256: string) {
  return <Args extends { request: unknown }, Result>(next: (args: Args) => Promise<Result>) =>
    (args: Args): Promise<Result> => {
      (args.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = sha256;
      return next(args);
    };
}
