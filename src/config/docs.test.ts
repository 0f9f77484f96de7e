/** The reference is what the schemas say, and docs/config.md is the reference. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import * as v from "valibot";
import { count, duration, size, text } from "../core/values.ts";
import { renderReference } from "./docs.ts";
import { kinds } from "./load.ts";

const unused = (): never => {
  throw new Error("not part of the reference");
};

test("docs/config.md is fresh: `npm run docs` writes it", async () => {
  expect(await Bun.file(join(import.meta.dir, "../../docs/config.md")).text()).toBe(renderReference(kinds));
});

test("every key of this version has a meaning", () => {
  const empty = renderReference(kinds)
    .split("\n")
    .filter((line) => line.startsWith("| `") && line.endsWith("|  |"));
  expect(empty).toEqual([]);
});

test("a key has its type, default and meaning; keys inside stand below it", () => {
  const schema = v.strictObject({
    type: v.literal("made"),
    bytes: v.optional(v.pipe(size(), v.description("A size.")), "1MiB"),
    room: v.optional(v.pipe(size(), v.description("Not __bold__, but `a_*`.")), 1024 * 1536),
    lanes: v.optional(v.pipe(count(1, 9), v.description("A | B.")), 4),
    mode: v.pipe(v.picklist(["a", "b"]), v.description("A word.")),
    names: v.optional(v.pipe(v.array(text()), v.description("Some names."))),
    batch: v.optional(v.pipe(v.strictObject({ age: v.optional(v.pipe(duration(), v.description("An age.")), "5m") }), v.description("A map.")), {}),
  });
  const made = { type: "made", schema, open: unused, check: unused };
  const reference = renderReference({ sources: [made], sinks: [] });
  const part = reference.slice(reference.indexOf("### Source made"), reference.indexOf("## sinks"));
  expect(part.trim().split("\n").slice(4)).toEqual([
    "| `type` | `made` |  | Which kind this is. |",
    "| `bytes` | size | `1MiB` | A size. |",
    "| `room` | size | `1536KiB` | Not \\_\\_bold\\_\\_, but `a_*`. |",
    "| `lanes` | whole number from 1 to 9 | `4` | A \\| B. |",
    "| `mode` | `a` or `b` |  | A word. |",
    "| `names` | list of text | optional | Some names. |",
    "| `batch` | map | optional | A map. |",
    "| `batch.age` | duration | `5m` | An age. |",
  ]);
});
