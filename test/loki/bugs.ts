/** Bugs to plant into the source, one at a time: each a small change of the text of one file. What is replaced must be there, once. */
import type { Hunt, PlantedBug } from "../sim/planted.ts";

const query = "src/source/loki/query.ts";
const sweeper = "src/source/loki/sweeper.ts";
const seen = "src/source/loki/seen.ts";
const entry = "src/source/loki/entry.ts";

const bugs: readonly PlantedBug[] = [
  { name: "the next page begins after the last time of this one", file: query, replace: "        cursor = last;", by: "        cursor = last + 1n;" },
  {
    name: "of a time that fills a page, the first page is all",
    file: query,
    replace: "if (whole.entries.length < this.#limitMax) return whole.entries;",
    by: "if (whole.entries.length > 0) return whole.entries;",
  },
  {
    name: "keys are not committed with what they are of",
    file: "src/source/loki/flow.ts",
    replace: "{ ...position, ...this.noted(fresh) }",
    by: "{ ...this.noted(fresh) }",
  },
  {
    name: "keys that have moved into a file are forgotten by the position",
    file: seen,
    replace: "return { [`f:${number}`]: file.bytes, ...this.#drop(numbers) };",
    by: "return this.#drop(numbers);",
  },
  {
    name: "keys are forgotten an overlap too early",
    file: sweeper,
    replace: "const again = watermark - nsOfMs(overlapMs);\n    const bound = minuteOf(bucketAt(late < again ? late : again)) - bucketsPerMinute;",
    by: "const bound = minuteOf(bucketAt(watermark)) - bucketsPerMinute;",
  },
  { name: "nothing late is looked for", file: sweeper, replace: "if (this.#lateDue()) await this.#sweepLate(settled, complete);", by: "" },
  {
    name: "late is counted from now on, not from the last late sweep",
    file: sweeper,
    replace: "max(this.#flow.floor, this.#lateTo - nsOfMs(this.#config.lateness))",
    by: "max(this.#flow.floor, this.watermark - nsOfMs(this.#config.lateness))",
  },
  {
    name: "a live tail is trusted",
    file: sweeper,
    replace: "const equal = gap || tailing ? await this.#compare(from, settled, gap) : undefined;",
    by: "if (tailing && !gap) return settled;\n    const equal = gap || tailing ? await this.#compare(from, settled, gap) : undefined;",
  },
  {
    name: "the watermark moves to now, not to what has settled",
    file: sweeper,
    replace: "      await this.#read(max(equal, from), end);\n      return settled;",
    by: "      await this.#read(max(equal, from), end);\n      return end;",
  },
  {
    name: "metadata is no part of what an entry is",
    file: entry,
    replace: "`${time}\\n${metadata}`, stream.seed",
    by: "time, stream.seed",
  },
  {
    name: "labels are no part of what an entry is",
    file: entry,
    replace: "`${time}\\n${metadata}`, stream.seed",
    by: "`${time}\\n${metadata}`",
  },
  {
    name: "what a rejected emit had is taken as durable",
    file: "src/source/loki/flow.ts",
    replace: "(cause: unknown) => this.fail(cause),",
    by: "(cause: unknown) => {\n          apply(this.durable, position);\n          this.fail(cause);\n        },",
  },
  {
    name: "what was declared lost is not committed",
    file: sweeper,
    replace: "lost === this.#lostCommitted ? {} : { lost: this.losses.json() }",
    by: "{}",
  },
  {
    name: "late entries that a tail brings are not counted as had",
    file: "src/source/loki/late.ts",
    replace: "        this.#past.set(minute, before + 1);\n",
    by: "",
  },
];

export const lokiHunt: Hunt = { bugs, parts: ["test/loki", "test/support"], main: "test/loki/main.ts" };
