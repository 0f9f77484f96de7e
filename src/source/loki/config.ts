/** Configuration of source `loki`. Keys are the user's words; durations come out in milliseconds. */
import * as v from "valibot";
import { accessKeys, oneCredential, tlsNeedsHttps } from "../../core/access.ts";
import { duration, httpUrl, parseDuration, text } from "../../core/values.ts";
import { commonSource } from "../schema.ts";
import { parseRfc3339 } from "./time.ts";

/** Where to begin at the very first start: now, at the oldest the server holds, so many milliseconds back, or at a time. */
export type Start = "now" | "oldest" | { readonly agoMs: number } | { readonly ns: bigint };

const minuteMs = 60_000;

const start = () =>
  v.pipe(
    v.string("must be now, oldest, a duration back such as 24h, or a time such as 2026-11-23T00:00:00Z"),
    v.rawTransform<string, Start>(({ dataset, addIssue, NEVER }) => {
      const { value } = dataset;
      if (value === "now" || value === "oldest") return value;
      const agoMs = parseDuration(value);
      if (agoMs !== undefined) return { agoMs };
      const ns = parseRfc3339(value);
      if (ns !== undefined) return { ns };
      addIssue({ message: `must be now, oldest, a duration back such as 24h, or a time such as 2026-11-23T00:00:00Z, not ${JSON.stringify(value)}` });
      return NEVER;
    }),
    v.title("now, oldest, duration or RFC 3339 time"),
  );

export const schema = v.pipe(
  v.strictObject({
    type: v.literal("loki"),
    ...commonSource,
    url: v.pipe(httpUrl(), v.description("Where Loki is reached, with the path its API lies below, if any: `https://loki.example.com`.")),
    query: v.pipe(
      text(),
      v.description('A log query: `{app="web"} |= "error"`. A bare selector loses least on the tail, so costs the least to complete.'),
    ),
    tenant: v.optional(
      v.pipe(
        text(),
        v.regex(/^[A-Za-z0-9!_.*'()-]{1,150}$/, "must be the name of one tenant: Loki does not tail several"),
        v.description("Tenant, sent as `X-Scope-OrgID`."),
      ),
    ),
    ...accessKeys(),
    start: v.optional(v.pipe(start(), v.description("Where to begin at the very first start; afterwards it goes on where it was.")), "now"),
    lateness: v.optional(
      v.pipe(
        duration(),
        v.minValue(minuteMs, "must be at least 1m"),
        v.maxValue(24 * 60 * minuteMs, "must be at most 24h"),
        v.description(
          "How far behind an entry may be pushed and still be found, whatever the tail loses. Loki takes them an hour behind in a stream that lives.",
        ),
      ),
      "1h5m",
    ),
    settle: v.optional(
      v.pipe(
        duration(),
        v.maxValue(10 * minuteMs, "must be at most 10m"),
        v.description("How old a moment must be to count as complete: what pushes and clocks may lag."),
      ),
      "10s",
    ),
    sweep_interval: v.optional(
      v.pipe(
        duration(),
        v.minValue(20, "must be at least 20ms"),
        v.maxValue(10 * minuteMs, "must be at most 10m"),
        v.description("How often the server is asked what the tail has not brought. With `mode: poll` this is how often it is asked at all."),
      ),
      "20s",
    ),
    mode: v.optional(
      v.pipe(v.picklist(["tail", "poll"], "must be tail or poll"), v.description("`poll`: without the WebSocket, where none gets through.")),
      "tail",
    ),
  }),
  v.forward(v.partialCheck(oneCredential.keys, oneCredential.holds, oneCredential.message), ["basic"]),
  v.forward(v.partialCheck(tlsNeedsHttps.keys, tlsNeedsHttps.holds, tlsNeedsHttps.message), ["tls"]),
);

export type LokiConfig = v.InferOutput<typeof schema>;
