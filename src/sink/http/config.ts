/** Configuration of sink `http`. Proxies are taken from the environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
import * as v from "valibot";
import { accessKeys, oneCredential, tlsNeedsHttps } from "../../core/access.ts";
import { duration, httpUrl } from "../../core/values.ts";
import { commonKeys } from "../schema.ts";

/** Headers that say what the body is and which batch it is; a receiver that is told otherwise could not tell repeats apart. */
const reserved = /^(content-(type|length|encoding)|transfer-encoding|connection|idempotency-key|logferry-.*)$/i;

const headers = () =>
  v.record(
    v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, "must be a header's name"),
      v.check((name) => !reserved.test(name), "is a header that logferry sets itself"),
    ),
    // Latin-1 without control characters: what the runtime would refuse at the first request is refused here.
    v.pipe(v.string("must be text"), v.regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be one line without control characters")),
  );

export const schema = v.pipe(
  v.strictObject({
    type: v.literal("http"),
    url: v.pipe(httpUrl(), v.description("Where batches are posted, as NDJSON. Any 2xx answer is a delivery.")),
    headers: v.optional(v.pipe(headers(), v.description("Headers of every request, as `Name: value`."))),
    ...accessKeys(),
    timeout: v.optional(
      v.pipe(duration(), v.minValue(100, "must be at least 100ms"), v.description("How long one try may take, body and answer together.")),
      "60s",
    ),
    ...commonKeys({ bytes_max: "4MiB", age_max: "1s" }),
  }),
  v.forward(v.partialCheck(oneCredential.keys, oneCredential.holds, oneCredential.message), ["basic"]),
  v.forward(
    v.partialCheck(
      [["headers"], ["bearer_token_file"], ["basic"]],
      (input) => !hasAuthorization(input.headers) || (input.bearer_token_file === undefined && input.basic === undefined),
      "must not hold Authorization together with bearer_token_file or basic",
    ),
    ["headers"],
  ),
  v.forward(v.partialCheck(tlsNeedsHttps.keys, tlsNeedsHttps.holds, tlsNeedsHttps.message), ["tls"]),
);

export type Config = v.InferOutput<typeof schema>;

function hasAuthorization(given: Readonly<Record<string, string>> | undefined): boolean {
  return Object.keys(given ?? {}).some((name) => name.toLowerCase() === "authorization");
}
