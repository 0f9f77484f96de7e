/** The `sources` and `sinks` of a file: names, types, and each handed to the schema of its kind. */
import type { GenericSchema } from "valibot";
import type { Tree } from "./document.ts";
import type { Finding } from "./mistake.ts";
import { listed, suggestion } from "./nearest.ts";
import { isSpoiled, validate } from "./validate.ts";
import { shown } from "./words.ts";

/** A component as the agent opens it: `kind.open(config, context)`. */
export interface Entry<Kind> {
  kind: Kind;
  config: unknown;
}

interface AnyKind {
  readonly type: string;
  readonly schema: GenericSchema<unknown, unknown>;
}

export type Group = "sources" | "sinks";

/** All components of a group that came out whole, by name; what is wrong goes into `findings`. */
export function readComponents<Kind extends AnyKind>(
  group: Group,
  value: unknown,
  kinds: readonly Kind[],
  tree: Tree,
  findings: Finding[],
): Record<string, Entry<Kind>> {
  const entries = Object.create(null) as Record<string, Entry<Kind>>;
  const one = group.slice(0, -1);
  const example = `\`${group}:\` holds one map for each ${one}, by a name of your choice`;
  if (isSpoiled([group], tree)) return entries;
  if (value === undefined || value === null) {
    findings.push({
      path: [group],
      code: "config_missing_key",
      message: value === null ? "is empty" : "is missing",
      hint: `name at least one ${one}: ${example}`,
    });
    return entries;
  }
  if (typeof value !== "object" || Array.isArray(value)) {
    findings.push({ path: [group], code: "config_value", message: `must be a map of keys, not ${shown(value)}`, hint: example });
    return entries;
  }
  const components = Object.entries(value);
  if (components.length === 0 && ![...tree.spoiled].some((path) => path.startsWith(`${group}.`))) {
    findings.push({ path: [group], code: "config_missing_key", message: "is empty", hint: `name at least one ${one}` });
  }
  for (const [name, inner] of components) {
    const path = [group, name];
    if (isSpoiled(path, tree)) continue;
    if (!/^[a-z][a-z0-9_-]*$/.test(name)) {
      findings.push({
        path,
        code: "config_name",
        message: `the name \`${name}\` may hold only a-z, 0-9, _ and -, and begins with a letter`,
        hint: "rename it: the name stands in records, metrics and file names",
      });
    }
    const kind = kindOf(group, name, inner, kinds, tree, findings);
    if (kind === undefined) continue;
    const config = validate(kind.schema, inner, path, tree, findings, `${group}.${kind.type}`);
    if (config !== undefined) entries[name] = { kind, config };
  }
  return entries;
}

function kindOf<Kind extends AnyKind>(
  group: Group,
  name: string,
  value: unknown,
  kinds: readonly Kind[],
  tree: Tree,
  findings: Finding[],
): Kind | undefined {
  const path = [group, name];
  const types = kinds.map((kind) => kind.type);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = value === null ? "has no value" : `must be a map of keys, not ${shown(value)}`;
    findings.push({ path, code: "config_value", message, hint: `begin with \`type:\`, which is ${listed(types)}` });
    return undefined;
  }
  const type: unknown = (value as Record<string, unknown>)["type"];
  const at = [...path, "type"];
  if (isSpoiled(at, tree)) return undefined;
  const kind = kinds.find((candidate) => candidate.type === type);
  if (kind !== undefined) return kind;
  const one = group.slice(0, -1);
  if (type === undefined || type === null) {
    findings.push({
      path: at,
      code: "config_missing_key",
      message: type === null ? "has no value" : "is missing",
      hint: `types of ${group}: ${types.join(", ")}`,
    });
  } else if (typeof type !== "string") {
    findings.push({ path: at, code: "config_value", message: `must be text, not ${shown(type)}`, hint: `types of ${group}: ${types.join(", ")}` });
  } else {
    findings.push({
      path: at,
      code: "config_unknown_type",
      message: `unknown ${one} type \`${type}\`: there ${types.length === 1 ? "is" : "are"} ${listed(types, "and")}`,
      hint: didYouMean(type, types),
    });
  }
  return undefined;
}

function didYouMean(type: string, types: readonly string[]): string {
  const hint = suggestion(type, types, "");
  return hint.startsWith("did you mean") ? hint : "";
}
