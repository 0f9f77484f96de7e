/** Configuration values as people write them, as valibot schemas: sizes, durations, names. A title is what the reference calls the type. */
import * as v from "valibot";

const sizeUnits: Record<string, number> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};
const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bytes of `512KiB`, `2GiB`, `1.5MB` or a plain number of bytes; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  const unit = match === null ? undefined : sizeUnits[match[2] === "" ? "B" : (match[2] ?? "")];
  return match === null || unit === undefined ? undefined : Math.round(Number(match[1]) * unit);
}

/** Milliseconds of `250ms`, `30s`, `1h5m`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (!/^(\d+(?:\.\d+)?(ms|s|m|h|d))+$/.test(trimmed)) return trimmed === "0" ? 0 : undefined;
  let total = 0;
  for (const match of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) total += Number(match[1]) * (durationUnits[match[2] ?? ""] ?? 0);
  return total;
}

/** A size in bytes: `2GiB`, `512KiB` or a whole number. Output: bytes. */
export const size = () =>
  v.pipe(
    v.union([v.number(), v.string()], "must be a size such as 512KiB or 2GiB"),
    v.rawTransform<number | string, number>(({ dataset, addIssue, NEVER }) => {
      const bytes = typeof dataset.value === "number" ? dataset.value : parseSize(dataset.value);
      if (bytes !== undefined && Number.isSafeInteger(bytes) && bytes >= 0) return bytes;
      addIssue({ message: `must be a size such as 512KiB or 2GiB, not ${JSON.stringify(dataset.value)}` });
      return NEVER;
    }),
    v.title("size"),
  );

/** A duration: `250ms`, `30s`, `1h5m`. Output: milliseconds. */
export const duration = () =>
  v.pipe(
    v.union([v.literal(0), v.string()], "must be a duration such as 250ms, 30s or 1h5m"),
    v.rawTransform<0 | string, number>(({ dataset, addIssue, NEVER }) => {
      const ms = dataset.value === 0 ? 0 : parseDuration(dataset.value);
      if (ms !== undefined) return ms;
      addIssue({ message: `must be a duration such as 250ms, 30s or 1h5m, not ${JSON.stringify(dataset.value)}` });
      return NEVER;
    }),
    v.title("duration"),
  );

/** Text that is not empty. */
export const text = () => v.pipe(v.string("must be text"), v.minLength(1, "must not be empty"));

/** `true` or `false`. */
export const flag = () => v.boolean("must be true or false");

/** A whole number of at least `min` and at most `max`. */
export const count = (min: number, max: number) =>
  v.pipe(
    v.number("must be a whole number"),
    v.integer("must be a whole number"),
    v.minValue(min, `must be at least ${min}`),
    v.maxValue(max, `must be at most ${max}`),
    v.title(`whole number from ${min} to ${max}`),
  );

/** An http or https URL without user and password in it. Output: the text as given. */
export const httpUrl = () =>
  v.pipe(
    v.string("must be a URL such as https://ingest.example.com/v1/records"),
    v.check((input) => /^https?:$/.test(tryUrl(input)?.protocol ?? ""), "must be a URL that begins with http:// or https://"),
    v.check(
      (input) => (tryUrl(input)?.username ?? "") === "" && (tryUrl(input)?.password ?? "") === "",
      "must not hold a user or password; use bearer_token_file or basic instead",
    ),
    v.title("URL"),
  );

function tryUrl(input: string): URL | undefined {
  return URL.canParse(input) ? new URL(input) : undefined;
}

/** `host:port` to listen on, `[::1]:8470` for IPv6. Output: host and port. */
export const listenAddress = () =>
  v.pipe(
    v.string("must be an address such as 127.0.0.1:8470"),
    v.rawTransform<string, { host: string; port: number }>(({ dataset, addIssue, NEVER }) => {
      const match = /^(\[[0-9a-fA-F:.]+\]|[^:\s]*):(\d{1,5})$/.exec(dataset.value);
      const port = Number(match?.[2]);
      if (match !== null && port <= 65_535) return { host: (match[1] === "" ? "0.0.0.0" : (match[1] ?? "")).replace(/^\[|\]$/g, ""), port };
      addIssue({ message: `must be an address such as 127.0.0.1:8470, not ${JSON.stringify(dataset.value)}` });
      return NEVER;
    }),
    v.title("address"),
  );
