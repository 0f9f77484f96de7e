/**
 * The keys every sink has, as valibot entries to spread into a sink's own schema, and what they mean to the delivery loop.
 *
 *     export const schema = v.strictObject({ type: v.literal("s3"), ...commonKeys({ bytes_max: "32MiB", age_max: "5m" }), ...partitionKeys(), bucket: … });
 *
 * A key that does nothing is not in here: what cannot be obeyed must not be accepted.
 */
import * as v from "valibot";
import type { Delivery } from "../core/contract.ts";
import { count, duration, size, text } from "../core/values.ts";
import { parseTemplate, zoneExists } from "./partition.ts";

/** What differs between the kinds, as people write it. */
export interface BatchDefaults {
  readonly bytes_max: string;
  readonly age_max: string;
}

/** A batch is held in planning as references only: the bound is what a far side may be asked to take at once. */
const batchBytesMax = 5 * 2 ** 30;

const batchKeys = (defaults: BatchDefaults) =>
  v.strictObject({
    bytes_max: v.optional(
      v.pipe(
        size(),
        v.minValue(1024, "must be at least 1KiB"),
        v.maxValue(batchBytesMax, "must be at most 5GiB"),
        v.description("A batch is closed and shipped when it holds this many bytes as sent."),
      ),
      defaults.bytes_max,
    ),
    age_max: v.optional(
      v.pipe(
        duration(),
        v.minValue(10, "must be at least 10ms"),
        v.description("A batch is closed and shipped at the latest this long after its first record."),
      ),
      defaults.age_max,
    ),
  });

const retryKeys = () =>
  v.pipe(
    v.strictObject({
      min: v.optional(
        v.pipe(duration(), v.minValue(10, "must be at least 10ms"), v.description("Wait before the first retry; doubled for each further one.")),
        "500ms",
      ),
      max: v.optional(v.pipe(duration(), v.minValue(10, "must be at least 10ms"), v.description("Longest wait between two tries.")), "1m"),
    }),
    v.check(({ min, max }) => min <= max, "min must not be longer than max"),
  );

const MiB = 1024 * 1024;

/** The entries of every sink. */
export const commonKeys = (defaults: BatchDefaults) => ({
  from: v.optional(
    v.pipe(
      v.array(text(), "must be a list of source names"),
      v.minLength(1, "must name at least one source"),
      v.description("Names of the sources whose records this sink ships; all of them when left out."),
    ),
  ),
  codec: v.optional(
    v.pipe(
      v.picklist(["zstd", "gzip", "none"], "must be zstd, gzip or none"),
      v.description("How records are compressed on the way out. zstd ships what lies in the spool without compressing again."),
    ),
    "zstd",
  ),
  batch: v.optional(v.pipe(batchKeys(defaults), v.description("When a batch is closed: whichever of the two comes first.")), {}),
  retry: v.optional(v.pipe(retryKeys(), v.description("Waits between tries, with jitter. A batch is tried for as long as it takes.")), {}),
  concurrency: v.optional(v.pipe(count(1, 64), v.description("Batches in flight at once, each of another lane.")), 4),
  required: v.optional(
    v.pipe(
      v.boolean("must be true or false"),
      v.description(
        "A sink with `false` loses its oldest records, counted, instead of filling the spool: beyond `hold_bytes`, or once the spool is full. It degrades health and never fails it, and `run --once` does not wait for it longer than `drain_timeout` without progress.",
      ),
    ),
    true,
  ),
  hold_bytes: v.optional(
    v.pipe(
      size(),
      v.minValue(MiB, "must be at least 1MiB"),
      v.description("With `required: false`, what the spool keeps for this sink at most, in bytes on disk."),
    ),
  ),
  start: v.optional(
    v.pipe(
      v.picklist(["oldest", "now"], "must be oldest or now"),
      v.description("Where a sink that is new to the spool begins: with the oldest record held, or with what comes from now on."),
    ),
    "oldest",
  ),
});

/** The entries of sinks that lay out objects or files. */
export const partitionKeys = () => ({
  prefix: v.optional(
    v.pipe(
      v.string("must be text"),
      v.check(
        (input) => prefixMistake(input) === undefined,
        (issue) => prefixMistake(issue.input) ?? "",
      ),
      v.description("Put before the partition as it is: end it with / to make a folder of it."),
    ),
    "",
  ),
  partition: v.optional(
    v.pipe(
      v.string("must be text such as date=%Y-%m-%d/hour=%H"),
      v.rawCheck<string>(({ dataset, addIssue }) => {
        const parsed = dataset.typed ? parseTemplate(dataset.value) : undefined;
        if (parsed !== undefined && "mistake" in parsed) addIssue({ message: parsed.mistake });
      }),
      v.description(
        "Folder of a record: text with {source}, {host}, {labels.NAME} and %Y %m %d %H of the record's time. Values are percent-encoded, a missing one is __HIVE_DEFAULT_PARTITION__.",
      ),
    ),
    "date=%Y-%m-%d/hour=%H",
  ),
  zone: v.optional(
    v.pipe(
      v.string("must be a time zone such as UTC or Europe/Berlin"),
      v.check(zoneExists, (issue) => `is not a known time zone: ${JSON.stringify(issue.input)}; write it as in UTC or Europe/Berlin`),
      v.description("Time zone of the partition, as in the IANA database."),
    ),
    "UTC",
  ),
});

function prefixMistake(prefix: string): string | undefined {
  if (/[\p{Cc}\\]/u.test(prefix)) return "must not hold control characters or backslashes";
  if (prefix.startsWith("/")) return "must not begin with /";
  // The last part may be the beginning of a name; `.` and `..` would still climb once it stands alone.
  const segments = prefix.split("/");
  if (segments.slice(0, -1).includes("")) return "must not hold //";
  if (segments.some((segment) => /^\.\.?$/.test(segment))) return "must not hold . or .. as a folder";
  return undefined;
}

/** What `commonKeys` leaves after validation. */
export type CommonConfig = v.InferOutput<ReturnType<typeof commonSchema>>;
const commonSchema = () => v.object(commonKeys({ bytes_max: "0", age_max: "0" }));

/** The delivery loop's view of a validated configuration; `partition` and `zone` where the kind has them. */
export function deliveryOf(config: CommonConfig & { readonly partition?: string; readonly zone?: string }): Delivery {
  return {
    ...(config.from === undefined ? {} : { from: config.from }),
    ...(config.partition === undefined ? {} : { partition: { template: config.partition, zone: config.zone ?? "UTC" } }),
    codec: config.codec,
    bytesMax: config.batch.bytes_max,
    ageMsMax: config.batch.age_max,
    retryMsMin: config.retry.min,
    retryMsMax: config.retry.max,
    concurrency: config.concurrency,
    start: config.start,
    ...(config.required ? {} : { required: false }),
    ...(config.hold_bytes === undefined ? {} : { holdBytes: config.hold_bytes }),
  };
}
