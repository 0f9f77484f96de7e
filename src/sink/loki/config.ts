/** Configuration of sink `loki`. Proxies are taken from the environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */
import * as v from "valibot";
import { accessKeys, oneCredential, tlsNeedsHttps } from "../../core/access.ts";
import { count, duration, httpUrl, size, text } from "../../core/values.ts";
import { commonKeys } from "../schema.ts";
import { every, everyLabel, nameMistake, parseTemplate } from "./template.ts";

/** A push is held in memory as a whole, `concurrency` of them at once. */
const pushBytesMax = 32 * 2 ** 20;

/** As Loki's own `max_label_names_per_series` and `max_line_size` are by default. */
const labelsDefault = 15;
const lineBytesDefault = "256KiB";

/** What stands for `labels` left out. */
export const labelsLeftOut: Readonly<Record<string, string>> = { [every]: everyLabel, host: "{host}", source: "{source}", file: "{file}" };

const labels = () =>
  v.record(
    v.pipe(
      v.string(),
      v.rawCheck<string>(({ dataset, addIssue }) => {
        const mistake = dataset.typed ? nameMistake(dataset.value) : undefined;
        if (mistake !== undefined) addIssue({ message: mistake });
      }),
    ),
    v.pipe(
      v.string("must be text such as {labels.app}"),
      v.rawCheck<string>(({ dataset, addIssue }) => {
        if (!dataset.typed || dataset.value === everyLabel) return;
        const parsed = parseTemplate(dataset.value);
        if ("mistake" in parsed) addIssue({ message: parsed.mistake });
      }),
    ),
  );

const { codec: _, concurrency: __, ...common } = commonKeys({ bytes_max: "1MiB", age_max: "1s" });

export const schema = v.pipe(
  v.strictObject({
    type: v.literal("loki"),
    url: v.pipe(httpUrl(), v.description("Where Loki is reached, with the path its API lies below, if any: `https://loki.example.com`.")),
    tenant: v.optional(
      v.pipe(
        text(),
        v.regex(/^[A-Za-z0-9!_.*'()-]{1,150}$/, "must be the name of one tenant: Loki takes a push for one only"),
        v.description("Tenant, sent as `X-Scope-OrgID`."),
      ),
    ),
    labels: v.optional(
      v.pipe(
        labels(),
        v.check(
          (given) => Object.entries(given).every(([name, template]) => (name === every) === (template === everyLabel)),
          'all labels of a record are written as "*": "{labels}"',
        ),
        v.description(
          'Labels of the stream a record goes to, each a text with {source}, {host}, {file}, {stream}, {labels.NAME}; `"*": "{labels}"` are all its labels. Left out: all its labels, host, source and file.',
        ),
      ),
      labelsLeftOut,
    ),
    metadata: v.optional(
      v.pipe(
        v.picklist(["all", "own", "none"], "must be all, own or none"),
        v.description(
          "What goes along as structured metadata: `all` that a record says and no label does, its `offset` (or `sequence`) too, which keeps equal lines of one time apart; `own`: what it had in Loki; `none`.",
        ),
      ),
      "all",
    ),
    equal_times: v.optional(
      v.pipe(
        v.picklist(["ordered", "kept"], "must be ordered or kept"),
        v.description(
          "Loki shows entries of one stream and time in any order. `ordered`: where records with a time to the microsecond, as the lines of one read of a file have, have the same, each goes a nanosecond behind the one before; longer times stay. `kept`: all stay.",
        ),
      ),
      "ordered",
    ),
    encoding: v.optional(
      v.pipe(
        v.picklist(["protobuf", "json"], "must be protobuf or json"),
        v.description("`json` where something on the way, or a server that is not Loki, does not take protobuf with snappy."),
      ),
      "protobuf",
    ),
    ...accessKeys(),
    timeout: v.optional(
      v.pipe(duration(), v.minValue(100, "must be at least 100ms"), v.description("How long one push may take, body and answer together.")),
      "60s",
    ),
    line_bytes_max: v.optional(
      v.pipe(
        size(),
        v.minValue(64, "must be at least 64 bytes"),
        v.description("What is kept of a line, as Loki's `max_line_size` has it; the rest is cut off, and counted."),
      ),
      lineBytesDefault,
    ),
    labels_max: v.optional(
      v.pipe(
        count(1, 100),
        v.description("Labels a stream may have, as Loki's `max_label_names_per_series` has it. What a record has more becomes metadata."),
      ),
      labelsDefault,
    ),
    when_refused: v.optional(
      v.pipe(
        v.picklist(["hold", "drop"], "must be hold or drop"),
        v.description(
          "Records that Loki refuses for good (too old, too far ahead, too far behind, too long) are given up and counted. `hold`: if they are more than 10 and more than 1 % of the last 10,000, the sink stops and fails health instead; `drop`: never.",
        ),
      ),
      "hold",
    ),
    ...common,
    concurrency: v.optional(v.pipe(count(1, 64), v.description("Pushes in flight at once. Those of one stream always go one after the other.")), 4),
  }),
  v.forward(v.partialCheck(oneCredential.keys, oneCredential.holds, oneCredential.message), ["basic"]),
  v.forward(v.partialCheck(tlsNeedsHttps.keys, tlsNeedsHttps.holds, tlsNeedsHttps.message), ["tls"]),
  v.forward(
    v.partialCheck([["batch"]], ({ batch }) => batch.bytes_max <= pushBytesMax, "must not have a bytes_max above 32MiB: a push is made in memory"),
    ["batch"],
  ),
  v.forward(
    v.partialCheck(
      [["labels"], ["labels_max"]],
      (input) => Object.keys(input.labels).length <= input.labels_max,
      ({ input: { labels: given, labels_max } }) =>
        `must not be ${Object.keys(given).length}: a stream may have ${labels_max}, or what Loki's max_label_names_per_series says; then set labels_max to it`,
    ),
    ["labels"],
  ),
);

export type Config = v.InferOutput<typeof schema>;
