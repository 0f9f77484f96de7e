/**
 * Labels of a Loki stream, by template: `job: "logs-{labels.env}"`.
 *
 * `{source}`, `{host}`, `{file}`, `{stream}` and `{labels.NAME}` are the record's own. The name `*` with the value `{labels}` stands for all
 * labels the record has. A label whose text comes out empty is left out, as Loki itself would.
 */

/** What a record says that a label may be made of. */
export interface Fields {
  readonly source?: string | undefined;
  readonly host?: string | undefined;
  readonly file?: string | undefined;
  /** A container's output. */
  readonly stream?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

const fieldNames = ["source", "host", "file", "stream"] as const;
export type FieldName = (typeof fieldNames)[number];

type Part = { readonly text: string } | { readonly field: FieldName } | { readonly label: string };
export type Template = readonly Part[];

/** All labels of the record. */
export const every = "*";
export const everyLabel = "{labels}";

/** The template, or what is wrong with it in the words of the configuration. */
export function parseTemplate(text: string): Template | { readonly mistake: string } {
  const parts: Part[] = [];
  for (const match of text.matchAll(/\{([^{}]*)\}|([{}])|[^{}]+/g)) {
    const [all, field, brace] = match;
    if (brace !== undefined) return { mistake: `has a ${brace} without its partner` };
    const part = field === undefined ? { text: all } : partOf(field);
    if (part === undefined) return { mistake: `has {${field}}, which is none of {source}, {host}, {file}, {stream}, {labels.NAME}` };
    parts.push(part);
  }
  return parts;
}

function partOf(field: string): Part | undefined {
  const name = fieldNames.find((one) => one === field);
  if (name !== undefined) return { field: name };
  return field.startsWith("labels.") && field.length > "labels.".length ? { label: field.slice("labels.".length) } : undefined;
}

/** What is wrong with a label's name; undefined when Loki takes it. */
export function nameMistake(name: string): string | undefined {
  if (name === every) return undefined;
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name)) return "must be letters, digits and _, and not begin with a digit: Loki takes no other label names";
  return name.startsWith("__") ? "must not begin with __: such labels are Loki's own" : undefined;
}

/** The text for a record; `used` is told what it was made of. */
export function expand(template: Template, fields: Fields, used: (field: FieldName | { readonly label: string }) => void): string {
  let text = "";
  for (const part of template) {
    if ("text" in part) text += part.text;
    else if ("field" in part) {
      text += fields[part.field] ?? "";
      used(part.field);
    } else {
      text += Object.hasOwn(fields.labels, part.label) ? (fields.labels[part.label] ?? "") : "";
      used(part);
    }
  }
  return text;
}
