/** The `spool` part of the configuration. Sizes come out in bytes, durations in milliseconds. */
import * as v from "valibot";
import { count, duration, size, text } from "../core/values.ts";

const MiB = 1024 * 1024;

export const spoolSchema = v.pipe(
  v.strictObject({
    dir: v.optional(v.pipe(text(), v.description("Folder of the spool; one process owns it.")), "/var/lib/logferry"),
    max_bytes: v.optional(
      v.pipe(size(), v.minValue(8 * MiB, "must be at least 8MiB"), v.description("Segments take at most this; the 8 MiB reserve is on top.")),
      "2GiB",
    ),
    when_full: v.optional(
      v.pipe(
        v.picklist(["block", "drop_oldest"], "must be block or drop_oldest"),
        v.description(
          "What a full spool does: `block` stops the sources until there is room, `drop_oldest` gives up the oldest segments once the sinks have made no room for a few seconds; what was lost is counted by source.",
        ),
      ),
      "block",
    ),
    min_free_bytes: v.optional(v.pipe(size(), v.description("The spool stops growing while the file system has less than this free.")), "256MiB"),
    commit_interval: v.optional(
      v.pipe(
        duration(),
        v.minValue(1, "must be at least 1ms"),
        v.maxValue(60_000, "must be at most 1m"),
        v.description("Records are made durable together, at the latest after this."),
      ),
      "250ms",
    ),
    segment_bytes: v.optional(
      v.pipe(
        size(),
        v.minValue(1 * MiB, "must be at least 1MiB"),
        v.description("A segment file is ended at this size, or at an eighth of `max_bytes` if that is less."),
      ),
    ),
    retain: v.optional(v.pipe(duration(), v.description("Delivered segments are kept this long; they yield first when space is short.")), "0s"),
    level: v.optional(v.pipe(count(1, 19), v.description("zstd level of the frames.")), 1),
  }),
  // Eight segments at least, so that deleting delivered ones gives room back in small enough steps.
  v.forward(
    v.check((spool) => spool.segment_bytes === undefined || spool.segment_bytes <= spool.max_bytes / 8, "must be at most an eighth of max_bytes"),
    ["segment_bytes"],
  ),
);

export type SpoolConfig = v.InferOutput<typeof spoolSchema>;

/** The size a segment is ended at: as configured, else 16 MiB or an eighth of `max_bytes`, whichever is less. */
export function segmentBytesOf(config: SpoolConfig): number {
  return config.segment_bytes ?? Math.min(16 * MiB, Math.floor(config.max_bytes / 8));
}
