/** Configuration of the `file` source. Keys are the user's words; times come out in milliseconds, sizes in bytes. */
import * as v from "valibot";
import { encodingNamed } from "../../core/encoding.ts";
import { lineBytesMax } from "../../core/limits.ts";
import { count, duration, size, text } from "../../core/values.ts";
import { keyedTime, lineEntries } from "../lines.ts";
import { commonSource } from "../schema.ts";
import { byMark } from "./text.ts";

/** A line in its envelope may grow six times and has to find room in a commit group of 8 MiB more than once an hour. */
const lineBytesLimit = 4 * 2 ** 20;

/** A name of TextDecoder; undefined is UTF-8, which needs no decoder. */
const encoding = () =>
  v.pipe(
    text(),
    v.check((label) => encodingNamed(label) !== undefined, "must be an encoding that WHATWG names, such as utf-16le, latin1 or shift_jis"),
    v.transform((label): string | undefined => {
      const name = label.trim().toLowerCase() === byMark ? byMark : encodingNamed(label);
      return name === "utf-8" ? undefined : name;
    }),
    v.description(
      "What the files are written in, by its WHATWG name: `utf-16le`, `utf-16be`, `utf-16` (each file says which by its byte order mark), `latin1`, `windows-1251`, `shift_jis`, `euc-jp`, `gb18030` and so on. Left out: UTF-8. Records are UTF-8; offsets and line_bytes_max count bytes of the file.",
    ),
  );

const entries = v.strictObject({
  type: v.literal("file"),
  ...commonSource,
  ...lineEntries,
  include: v.pipe(
    v.array(text(), "must be a list of paths or globs"),
    v.minLength(1, "must name at least one path or glob"),
    v.description(
      "Paths or globs: *, ?, [a-z], {a,b}, and ** for any depth. A name that begins with a dot is matched only by a pattern that does. What gzip or zstd made of a rotated file (`.gz`, `.zst`) is recognised: only what nobody has read of it is read.",
    ),
  ),
  exclude: v.optional(
    v.pipe(
      v.array(text(), "must be a list of globs"),
      v.description("Globs of what is left out again. One without a slash is held against the file's name alone."),
    ),
    [],
  ),
  start: v.optional(
    v.pipe(
      v.picklist(["begin", "end"], "must be begin or end"),
      v.description("Where to begin with files that are there at the very first start. Files that appear later are read from their begin."),
    ),
    "begin",
  ),
  discover_interval: v.optional(
    v.pipe(duration(), v.minValue(10, "must be at least 10ms"), v.description("How often the globs are looked at anew.")),
    "1s",
  ),
  line_bytes_max: v.optional(
    v.pipe(
      size(),
      v.minValue(64, "must be at least 64 bytes"),
      v.maxValue(lineBytesLimit, "must be at most 4MiB"),
      v.description("What is kept of a line, its end not counted. The rest is skipped, and the record says truncated."),
    ),
    lineBytesMax,
  ),
  ignore_older: v.optional(
    v.pipe(
      duration(),
      v.minValue(1, "must be longer than 0"),
      v.description("A file unknown so far that was not written for this long is left alone until it is written again."),
    ),
  ),
  partial_line_after: v.optional(
    v.pipe(duration(), v.description("A last line without its end is taken once a rotated or deleted file has not grown for this long.")),
    "5s",
  ),
  open_files_max: v.optional(
    v.pipe(count(1, 100_000), v.description("Files held open at most. Only one that is read to its end is closed for another.")),
    512,
  ),
  deleted_bytes_max: v.optional(
    v.pipe(
      size(),
      v.description(
        "What deleted files that are still read may hold on disk. Beyond it the one deleted first is given up as soon as it makes no progress, and what was not read is counted.",
      ),
    ),
    2 ** 30,
  ),
  order: v.optional(
    v.pipe(
      v.picklist(["oldest_first", "newest_first"], "must be oldest_first or newest_first"),
      v.description("Which files of a backlog are read first. Files that keep up are always read at once."),
    ),
    "oldest_first",
  ),
  encoding: v.optional(encoding()),
  empty_lines: v.optional(
    v.pipe(v.picklist(["keep", "skip"], "must be keep or skip"), v.description("Whether a line with nothing in it makes a record.")),
    "keep",
  ),
  symlink_roots: v.optional(
    v.pipe(v.array(text(), "must be a list of folders"), v.description("Folders that symlinks may lead into, besides those the globs begin with.")),
    [],
  ),
});

export const schema = v.pipe(entries, v.forward(v.partialCheck(keyedTime.keys, keyedTime.holds, keyedTime.message), ["timestamp"]));

export type FileConfig = v.InferOutput<typeof schema>;
