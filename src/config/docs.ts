/**
 * Renders docs/config.md, the reference of every key, from the schemas: a key that is taken has a row, and none that is not.
 *
 * Meaning is `v.description()` of the key's schema, the default is the schema's own.
 */
import { controlSchema } from "../control/config.ts";
import { spoolSchema } from "../spool/config.ts";
import { topSchema, type Kinds } from "./config.ts";
import { listed } from "./nearest.ts";
import { defaultOf, isOptional, metadataOf, shapes, type Schema } from "./shape.ts";

interface Row {
  key: string;
  type: string;
  standard: string;
  meaning: string;
}

/** The whole file. */
export function renderReference(kinds: Kinds): string {
  const parts = [
    intro,
    section("## Top", "Keys at the top of the file.", topSchema),
    section("## spool", "Where records lie until every sink has them.", spoolSchema),
    "## sources\n\nA map of sources, each under a name of your choice (`a-z`, `0-9`, `_`, `-`). `type` says which kind it is.\n",
    ...kinds.sources.map((kind) => section(`### Source ${kind.type}`, "", kind.schema)),
    "## sinks\n\nA map of sinks, each under a name of your choice. Every sink gets every record, unless `from` says otherwise.\n",
    ...kinds.sinks.map((kind) => section(`### Sink ${kind.type}`, "", kind.schema)),
    section("## control", "The control API and the status page.", controlSchema),
  ];
  return `${parts.join("\n").trimEnd()}\n`;
}

const intro = `# Configuration

<!-- Written by \`npm run docs\` from the schemas: change those. -->

logferry reads \`/etc/logferry/logferry.yaml\` unless \`--config\` names another file: YAML, or JSON when its name ends in \`.json\`.
\`logferry check\` tells every mistake in it at once.

- Sizes are \`512KiB\`, \`2GiB\` or a number of bytes; durations \`250ms\`, \`30s\`, \`1h5m\`.
- \`\${NAME}\` in a value is taken from the environment, \`\${NAME:-default}\` also when it is not set or empty. A literal \`\${\` is written \`$\${\`.
  Inside \`{ }\` or \`[ ]\` put quotes around the value.
- Keys that end in \`_file\` name a file with the secret; it is read again when it changes.
- Unknown keys are mistakes. A key without a default has to be there unless it says "optional".

\`\`\`yaml
sources:
  nginx: { type: file, include: ["/var/log/nginx/*.log"], labels: { env: prod } }
sinks:
  archive: { type: directory, dir: /srv/archive }
\`\`\`
`;

function section(title: string, lead: string, schema: Schema): string {
  const rows = rowsOf(schema, "");
  const lines = rows.map(
    ({ key, type, standard, meaning }) => `| \`${key}\` | ${cell(type)} | ${standard === "" ? "" : cell(standard)} | ${cell(meaning)} |`,
  );
  return [title, "", ...(lead === "" ? [] : [lead, ""]), "| key | type | default | meaning |", "|---|---|---|---|", ...lines, ""].join("\n");
}

/** A row for each key; keys of a map inside stand below it, `batch.bytes_max`. */
function rowsOf(schema: Schema, prefix: string): Row[] {
  return shapes(schema).flatMap((shape) => {
    if (shape.kind !== "map") return [];
    return Object.entries(shape.entries).flatMap(([key, inner]) => {
      const path = `${prefix}${key}`;
      const below = rowsOf(inner, `${path}.`);
      const meaning = metadataOf(inner, "description") ?? (key === "type" ? "Which kind this is." : "");
      // A map that only holds others says nothing by itself.
      if (below.length > 0 && meaning === "") return below;
      return [{ key: path, type: below.length > 0 ? "map" : typeOf(inner), standard: standardOf(inner), meaning }, ...below];
    });
  });
}

function standardOf(schema: Schema): string {
  const value = defaultOf(schema);
  if (value !== undefined && !(typeof value === "object" && value !== null && Object.keys(value).length === 0)) {
    if (typeof value === "number" && metadataOf(schema, "title") === "size") return `\`${sizeText(value)}\``;
    return `\`${typeof value === "string" ? (value === "" ? '""' : value) : JSON.stringify(value)}\``;
  }
  return isOptional(schema) ? "optional" : "";
}

const leafWords: Readonly<Record<string, string>> = { string: "text", number: "number", boolean: "true or false" };

function typeOf(schema: Schema): string {
  const title = metadataOf(schema, "title");
  if (title !== undefined) return title;
  const words = shapes(schema).map((shape) => {
    if (shape.kind === "list") return `list of ${typeOf(shape.item)}`;
    if (shape.kind === "record") return `map of ${typeOf(shape.value)}`;
    if (shape.kind === "words") return listed(shape.words.map((word) => `\`${word}\``));
    return shape.kind === "map" ? "map" : (leafWords[shape.type] ?? shape.type);
  });
  return listed([...new Set(words)]);
}

/** Text in a cell of a table: a bar would begin the next one, a star outside of code would print in italics. */
function cell(text: string): string {
  const parts = text.replaceAll("|", "\\|").replaceAll("\n", " ").split("`");
  return parts.map((part, index) => (index % 2 === 0 ? part.replaceAll(/[*_<>[\]]/g, "\\$&") : part)).join("`");
}

/** A number of bytes as people write it. */
function sizeText(bytes: number): string {
  const unit = (
    [
      ["GiB", 2 ** 30],
      ["MiB", 2 ** 20],
      ["KiB", 2 ** 10],
    ] as const
  ).find(([, factor]) => bytes >= factor && bytes % factor === 0);
  return unit === undefined ? String(bytes) : `${bytes / unit[1]}${unit[0]}`;
}
