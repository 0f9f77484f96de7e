/**
 * What a valibot schema looks like from outside: which keys it knows and what lies below them.
 *
 * valibot reports only the first unknown key of a map and tells nothing about the others, so `validate` walks the schema by
 * itself; the reference in docs/config.md comes from the same walk.
 */
import type { GenericSchema } from "valibot";

export type Schema = GenericSchema<unknown, unknown>;

/** The fields of valibot's schemas this walk reads; each kind of schema has some of them. */
interface Inside {
  readonly type: string;
  readonly entries?: Readonly<Record<string, Schema>>;
  readonly wrapped?: Schema;
  readonly item?: Schema;
  readonly value?: Schema;
  readonly literal?: unknown;
  readonly options?: readonly unknown[];
  readonly default?: unknown;
  readonly pipe?: readonly Step[];
}

interface Step {
  readonly kind: "schema" | "validation" | "transformation" | "metadata";
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
}

/** The alternatives of a schema with their wrappers (optional, nullish, union) taken off. */
export type Shape =
  | { readonly kind: "map"; readonly entries: Readonly<Record<string, Schema>>; readonly open: boolean }
  | { readonly kind: "record"; readonly value: Schema }
  | { readonly kind: "list"; readonly item: Schema }
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "leaf"; readonly type: string };

export function shapes(schema: Schema): Shape[] {
  const inside = insideOf(schema);
  if (inside.wrapped !== undefined) return shapes(inside.wrapped);
  if (inside.entries !== undefined) {
    return [{ kind: "map", entries: inside.entries, open: inside.type === "loose_object" || inside.type === "object_with_rest" }];
  }
  if (inside.type === "record" && inside.value !== undefined) return [{ kind: "record", value: inside.value }];
  if (inside.item !== undefined) return [{ kind: "list", item: inside.item }];
  if (inside.type === "picklist") return [{ kind: "words", words: (inside.options ?? []).map(String) }];
  if (inside.type === "literal") return [{ kind: "words", words: [String(inside.literal)] }];
  if (inside.options !== undefined) return inside.options.flatMap((option) => shapes(option as Schema));
  return [{ kind: "leaf", type: inside.type }];
}

/** True when the key may be left out. */
export function isOptional(schema: Schema): boolean {
  return /^(optional|exact_optional|nullish|undefinedable)$/.test(insideOf(schema).type);
}

/** True when an empty value (null) is one of its own. */
export function takesNull(schema: Schema): boolean {
  const inside = insideOf(schema);
  if (/^(null|nullable|nullish|unknown|any)$/.test(inside.type)) return true;
  if (inside.wrapped !== undefined) return takesNull(inside.wrapped);
  return inside.type === "union" && (inside.options ?? []).some((option) => takesNull(option as Schema));
}

/** The default as it would be written, undefined when there is none. */
export function defaultOf(schema: Schema): unknown {
  const inside = insideOf(schema);
  const value: unknown = typeof inside.default === "function" ? (inside.default as () => unknown)() : inside.default;
  if (value !== undefined) return value;
  return inside.wrapped === undefined ? undefined : defaultOf(inside.wrapped);
}

/** The last `v.description()` or `v.title()` of the schema or of what it wraps. */
export function metadataOf(schema: Schema, kind: "description" | "title"): string | undefined {
  const inside = insideOf(schema);
  for (const step of inside.pipe?.toReversed() ?? []) {
    const nested = step.kind === "schema" && step !== inside.pipe?.[0] ? metadataOf(step as unknown as Schema, kind) : step[kind];
    if (nested !== undefined) return nested;
  }
  const first = inside.pipe?.[0] as Schema | undefined;
  if (first !== undefined && insideOf(first).pipe !== undefined) {
    const nested = metadataOf(first, kind);
    if (nested !== undefined) return nested;
  }
  return inside.wrapped === undefined ? undefined : metadataOf(inside.wrapped, kind);
}

function insideOf(schema: Schema): Inside {
  return schema;
}
