/** Configuration of source `http`. Keys are the user's words; sizes come out in bytes. */
import * as v from "valibot";
import { lineBytesMax } from "../../core/limits.ts";
import { listenAddress, size, text } from "../../core/values.ts";
import { keyedTime, lineEntries } from "../lines.ts";
import { commonSource } from "../schema.ts";

/** A body is one commit group: its records are held in memory, up to four bodies at once. */
const bodyBytesLimit = 64 * 2 ** 20;
/** As for files: a line in its envelope may grow six times. */
const lineBytesLimit = 4 * 2 ** 20;

const tokens = () =>
  v.pipe(
    v.array(
      v.strictObject({
        name: v.pipe(
          text(),
          v.description("Who sends with this token. Batches that a logferry repeats are known by it: keep it when the token changes."),
        ),
        file: v.pipe(text(), v.description("File with the token. Read again when it changes.")),
        sources: v.optional(
          v.pipe(
            v.array(text(), "must be a list of source names"),
            v.minLength(1, "must name at least one source"),
            v.description(
              "Names that `source` of its records may have; any when left out. What is not a record of another logferry has the name of this source.",
            ),
          ),
        ),
      }),
      "must be a list of tokens, each with name and file",
    ),
    v.minLength(1, "must hold at least one token"),
    v.check((list) => new Set(list.map(({ name }) => name)).size === list.length, "must not name two tokens alike"),
  );

const tls = () =>
  v.strictObject({
    cert_file: v.pipe(text(), v.description("Certificate (PEM) with its chain.")),
    key_file: v.pipe(text(), v.description("Its key (PEM).")),
  });

export const schema = v.pipe(
  v.strictObject({
    type: v.literal("http"),
    ...commonSource,
    ...lineEntries,
    listen: v.pipe(listenAddress(), v.description("Address and port to listen on.")),
    path: v.optional(
      v.pipe(v.string("must be a path"), v.regex(/^\/[^?#\s]*$/, "must be a path that begins with /"), v.description("Path that takes the records.")),
      "/v1/records",
    ),
    bearer_token_file: v.optional(v.pipe(text(), v.description("File with the token that senders must show. Read again when it changes."))),
    tokens: v.optional(v.pipe(tokens(), v.description("Several tokens, each with a name and, if wanted, the sources it may bring."))),
    tls: v.optional(v.pipe(tls(), v.description("Certificate and key: serve https."))),
    body_bytes_max: v.optional(
      v.pipe(
        size(),
        v.minValue(1024, "must be at least 1KiB"),
        v.maxValue(bodyBytesLimit, "must be at most 64MiB"),
        v.description("Largest body, decoded. A larger one is answered 413."),
      ),
      "16MiB",
    ),
    line_bytes_max: v.optional(
      v.pipe(
        size(),
        v.minValue(64, "must be at least 64 bytes"),
        v.maxValue(lineBytesLimit, "must be at most 4MiB"),
        v.description("What is kept of a line of plain text. The rest is skipped, and the record says truncated."),
      ),
      lineBytesMax,
    ),
    empty_lines: v.optional(
      v.pipe(v.picklist(["skip", "keep"], "must be skip or keep"), v.description("Whether a line of plain text with nothing in it makes a record.")),
      "skip",
    ),
  }),
  v.forward(
    v.partialCheck(
      [["tokens"], ["bearer_token_file"]],
      (input) => input.tokens === undefined || input.bearer_token_file === undefined,
      "must not be set together with bearer_token_file",
    ),
    ["tokens"],
  ),
  v.forward(v.partialCheck(keyedTime.keys, keyedTime.holds, keyedTime.message), ["timestamp"]),
);

export type HttpConfig = v.InferOutput<typeof schema>;
