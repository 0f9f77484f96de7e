/**
 * Configuration of sink `s3`.
 *
 * Without the two key files the standard AWS chain gives the credentials: environment, shared config and credentials
 * files (profiles, SSO, process), web identity token, container and instance metadata.
 */
import * as v from "valibot";
import { flag, httpUrl, size, text } from "../../core/values.ts";
import { commonKeys, partitionKeys } from "../schema.ts";

const MiB = 2 ** 20;

/** An S3 bucket name, or the ARN of an access point. The store has the last word; this catches a path or a URL put here. */
const bucketName = () =>
  v.pipe(
    text(),
    v.regex(/^(arn:[^\s]+|[A-Za-z0-9][A-Za-z0-9._-]{1,254})$/, "must be the name of a bucket, without s3:// and without a path"),
    v.description("Bucket the objects go to. It must exist."),
  );

/** S3 takes ten tags, keys up to 128 and values up to 256 characters. */
const tags = () =>
  v.pipe(
    v.record(
      v.pipe(text(), v.maxLength(128, "must have at most 128 characters")),
      v.pipe(v.string("must be text"), v.maxLength(256, "must have at most 256 characters")),
    ),
    v.check((input) => Object.keys(input).length <= 10, "must be at most ten tags"),
    v.description("Tags of every object, as `name: value`. Needs the permission s3:PutObjectTagging."),
  );

export const schema = v.pipe(
  v.strictObject({
    type: v.literal("s3"),
    bucket: bucketName(),
    region: v.optional(
      v.pipe(
        text(),
        v.description("Region of the bucket. When left out: AWS_REGION or the shared config file, or us-east-1 where an endpoint is set."),
      ),
    ),
    endpoint: v.optional(v.pipe(httpUrl(), v.description("Address of an S3 compatible store, when it is not AWS."))),
    path_style: v.optional(
      v.pipe(flag(), v.description("Address the bucket in the path instead of the host name: MinIO, versitygw and most stores on premises.")),
      false,
    ),
    ...partitionKeys(),
    part_bytes: v.optional(
      v.pipe(
        size(),
        v.minValue(5 * MiB, "must be at least 5MiB, the least S3 takes for a part"),
        v.maxValue(512 * MiB, "must be at most 512MiB; a part is held in memory"),
        v.description("Objects above this are sent in parts of this size. Each put under way holds one part in memory."),
      ),
      "8MiB",
    ),
    storage_class: v.optional(v.pipe(text(), v.description("Storage class of the objects, such as STANDARD_IA or INTELLIGENT_TIERING."))),
    sse: v.optional(
      v.pipe(
        v.picklist(["AES256", "aws:kms", "aws:kms:dsse"], "must be AES256, aws:kms or aws:kms:dsse"),
        v.description("Encryption at rest asked for with each object. When left out the bucket's own default applies."),
      ),
    ),
    sse_kms_key_id: v.optional(v.pipe(text(), v.description("Key for sse: aws:kms; the account's default key when left out."))),
    tags: v.optional(tags()),
    access_key_id_file: v.optional(
      v.pipe(text(), v.description("File with the access key id; goes with secret_access_key_file. Without both, the standard AWS chain is asked.")),
    ),
    secret_access_key_file: v.optional(v.pipe(text(), v.description("File with the secret access key. Read again when it changes."))),
    ...commonKeys({ bytes_max: "32MiB", age_max: "5m" }),
  }),
  v.forward(
    v.partialCheck(
      [["access_key_id_file"], ["secret_access_key_file"]],
      (input) => (input.access_key_id_file === undefined) === (input.secret_access_key_file === undefined),
      "must be set together with access_key_id_file, or neither",
    ),
    ["secret_access_key_file"],
  ),
  v.forward(
    v.partialCheck(
      [["sse"], ["sse_kms_key_id"]],
      (input) => input.sse_kms_key_id === undefined || (input.sse ?? "").startsWith("aws:kms"),
      "needs sse: aws:kms or aws:kms:dsse",
    ),
    ["sse_kms_key_id"],
  ),
);

export type Config = v.InferOutput<typeof schema>;
