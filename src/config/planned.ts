/**
 * Names that the documentation of logferry promises and this version does not have yet.
 *
 * Whoever writes one has made no slip, so it is not "unknown". A name is looked up here only after the schemas did not know it: what a
 * later version brings simply stops being asked for.
 */

const everySource = ["fields", "steps", "rate"];
const everySink = ["fields", "bytes_per_second", "required", "hold_bytes", "start", "batch", "retry", "concurrency"];

const keys: Record<string, readonly string[]> = {
  "": ["host", "drain_timeout", "health", "log", "health.stalled_after", "log.level", "log.format"],
  spool: ["when_full", "min_free_bytes", "commit_interval", "segment_bytes", "retain", "level"],
  control: ["listen", "socket", "token_file"],
  "sources.file": [
    "exclude",
    "start",
    "discover_interval",
    "line_bytes_max",
    "ignore_older",
    "partial_line_after",
    "open_files_max",
    "deleted_bytes_max",
    "encoding",
    "empty_lines",
    "order",
    "symlink_roots",
  ],
  "sources.http": ["path", "tokens", "tls", "body_bytes_max", "basic", "bearer_token_file"],
  "sources.stdin": ["line_bytes_max", "empty_lines"],
  "sinks.s3": [
    "endpoint",
    "path_style",
    "partition",
    "zone",
    "part_bytes",
    "storage_class",
    "sse",
    "tags",
    "access_key_id_file",
    "secret_access_key_file",
  ],
  "sinks.http": ["headers", "bearer_token_file", "basic", "tls", "timeout"],
  "sinks.directory": ["partition", "zone"],
};

/** True when `path` (`tls`, `batch.bytes_max`) of a part (`spool`, `sources.file`) is promised for a later version. */
export function plannedKeys(part: string, path: string): boolean {
  const common = part.startsWith("sources.") ? everySource : part.startsWith("sinks.") ? everySink : [];
  return [...common, ...(keys[part] ?? [])].includes(path);
}
