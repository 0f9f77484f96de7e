/**
 * Holds a value against a valibot schema and says every mistake once.
 *
 * In this order: keys the schema does not know and values of the wrong sort are taken out and told; then valibot runs; then it
 * runs once more without the values it refused, so that checks across keys are told in the same go. A mistake is never told
 * twice under two names: a path that is spoiled is not also missing, unknown or wrong.
 */
import * as v from "valibot";
import type { Tree } from "./document.ts";
import { pathText, type Finding, type Path } from "./mistake.ts";
import { nearest, suggestion } from "./nearest.ts";
import { plannedKeys } from "./planned.ts";
import { metadataOf, shapes, takesNull, type Schema, type Shape } from "./shape.ts";
import { flatten, pathOf, say, shown, type Issue } from "./words.ts";

type Map = Record<string, unknown>;

/**
 * The output of `schema` for `value`, which stands at `path`; undefined when there is none. Mistakes are added to `findings`, and
 * their paths to `tree.spoiled`; an output in spite of mistakes has defaults in their place. `part` says whose planned keys to know.
 */
export function validate<Output>(
  schema: v.GenericSchema<unknown, Output>,
  value: unknown,
  path: Path,
  tree: Tree,
  findings: Finding[],
  part: string,
): Output | undefined {
  const context: Context = { tree, findings, part, schema };
  let input = prune([schema], value, path, context);
  let result = v.safeParse(schema, input);
  const converted = convert(input, flatten(result.issues ?? []), path, tree);
  if (converted !== input) {
    input = converted;
    result = v.safeParse(schema, input);
  }
  if (result.success) return result.output;
  const wrong = flatten(result.issues);
  tell(wrong, path, context);
  const again = v.safeParse(schema, without(input, wrong.map(pathOf)));
  if (again.success) return again.output;
  tell(flatten(again.issues), path, context);
  return undefined;
}

interface Context {
  readonly tree: Tree;
  readonly findings: Finding[];
  readonly part: string;
  readonly schema: Schema;
}

/** Tells the issues whose path is not spoiled yet, and spoils it. */
function tell(issues: readonly Issue[], base: Path, { tree, findings, schema }: Context): void {
  const before = new Set(tree.spoiled);
  for (const issue of issues) {
    const path = [...base, ...pathOf(issue)];
    if (isSpoiled(path, tree) || holdsSpoiled(path, tree)) continue;
    const said = say(issue, !tree.fromVariables.has(pathText(path)));
    if (follows(said.message, path, before)) continue;
    const hint = said.code === "config_missing_key" ? meaningOf(schema, said.path) : said.hint;
    findings.push({ ...said, hint, path });
    tree.spoiled.add(pathText(path));
  }
}

/** True for `must be at most b` beside a `b` that is wrong itself: whoever read it would look in the wrong place. */
function follows(message: string, path: Path, spoiled: ReadonlySet<string>): boolean {
  const beside = pathText(path.slice(0, -1));
  const words = message.match(/[a-z][a-z0-9_]*/g) ?? [];
  return words.some((word) => word !== path.at(-1) && spoiled.has(beside === "" ? word : `${beside}.${word}`));
}

/** True when `path`, or a part of it, is known to be wrong already. */
export function isSpoiled(path: Path, tree: Tree): boolean {
  return path.some((_, index) => tree.spoiled.has(pathText(path.slice(0, index + 1))));
}

/** True when something below `path` is known to be wrong: what is said of the whole follows from that. */
function holdsSpoiled(path: Path, tree: Tree): boolean {
  const text = pathText(path);
  return [...tree.spoiled].some((one) => one.startsWith(`${text}.`) || one.startsWith(`${text}[`));
}

/** A copy of `value` without unknown keys, empty values and values of the wrong sort; each is told. */
function prune(schemas: readonly Schema[], value: unknown, path: Path, context: Context): unknown {
  const known = schemas.flatMap(shapes);
  if (known.some((shape) => shape.kind === "leaf" && /^(unknown|any)$/.test(shape.type))) return value;
  if (Array.isArray(value)) {
    const items = known.flatMap((shape) => (shape.kind === "list" ? [shape.item] : []));
    if (items.length === 0) return wrongSort(known, value, path, context);
    return value.map((item, index) => prune(items, item, [...path, index], context));
  }
  if (typeof value === "object" && value !== null) {
    const maps = known.filter((shape) => shape.kind === "map" || shape.kind === "record");
    if (maps.length === 0) return wrongSort(known, value, path, context);
    return pruneMap(maps, value as Map, path, context);
  }
  const takesValues = known.some((shape) => shape.kind === "leaf" || shape.kind === "words");
  return takesValues || value === undefined ? value : wrongSort(known, value, path, context);
}

function pruneMap(shapesHere: readonly Shape[], value: Map, path: Path, context: Context): Map {
  const { tree, findings, part } = context;
  const known = new Set(shapesHere.flatMap((shape) => (shape.kind === "map" ? Object.keys(shape.entries) : [])));
  const result: Map = {};
  for (const [key, inner] of Object.entries(value)) {
    const here = [...path, key];
    const schemas = shapesHere.flatMap((shape) => schemaOf(shape, key));
    if (tree.spoiled.has(pathText(here))) continue;
    if (schemas.length === 0) {
      if (shapesHere.some((shape) => shape.kind === "map" && shape.open)) result[key] = inner;
      else unknownKey(key, [...known], value, path, context, part);
    } else if (inner === null && !schemas.some(takesNull)) {
      findings.push({ path: here, code: "config_value", message: "has no value", hint: "give it one, or take the line out" });
      tree.spoiled.add(pathText(here));
    } else {
      const pruned = prune(schemas, inner, here, context);
      if (!tree.spoiled.has(pathText(here))) result[key] = pruned;
    }
  }
  return result;
}

function schemaOf(shape: Shape, key: string): Schema[] {
  if (shape.kind === "record") return [shape.value];
  if (shape.kind === "map" && Object.hasOwn(shape.entries, key)) return [shape.entries[key] as Schema];
  return [];
}

function unknownKey(key: string, known: readonly string[], value: Map, path: Path, { tree, findings }: Context, part: string): void {
  const here = [...path, key];
  if (plannedKeys(part, [...path.slice(part.includes(".") ? 2 : 1), key].join("."))) {
    findings.push({
      path: here,
      code: "config_not_yet",
      message: `\`${key}\` is not in this version yet`,
      hint: "take it out for now; CHANGELOG.md says when it comes",
    });
    return;
  }
  const free = known.filter((name) => !(name in value));
  findings.push({ path: here, code: "config_unknown_key", message: `unknown key \`${key}\``, hint: suggestion(key, free, "keys here") });
  // The key that was meant is not also missing.
  const meant = nearest(key, free);
  if (meant !== undefined) tree.spoiled.add(pathText([...path, meant]));
}

function wrongSort(known: readonly Shape[], value: unknown, path: Path, { tree, findings }: Context): undefined {
  tree.spoiled.add(pathText(path));
  if (value === null) {
    findings.push({ path, code: "config_value", message: "has no value", hint: "give it one, or take the line out" });
    return undefined;
  }
  const wanted = known.some((shape) => shape.kind === "map" || shape.kind === "record")
    ? "a map of keys"
    : known.some((shape) => shape.kind === "list")
      ? "a list"
      : "a single value";
  const found = tree.fromVariables.has(pathText(path)) ? "" : `, not ${shown(value)}`;
  findings.push({ path, code: "config_value", message: `must be ${wanted}${found}` });
  return undefined;
}

/** Text from a variable where a number or a boolean is wanted: taken as that, so that `concurrency: ${N}` works, also in JSON. */
function convert(input: unknown, issues: readonly Issue[], base: Path, tree: Tree): unknown {
  let result = input;
  for (const issue of issues) {
    const path = pathOf(issue);
    if (typeof issue.input !== "string" || !tree.fromVariables.has(pathText([...base, ...path]))) continue;
    const expected = issue.expected ?? "";
    if (/\bnumber\b/.test(expected) && /^-?\d+(\.\d+)?$/.test(issue.input)) result = replaced(result, path, Number(issue.input));
    else if (/\bboolean\b/.test(expected) && /^(true|false)$/.test(issue.input)) result = replaced(result, path, issue.input === "true");
  }
  return result;
}

function replaced(value: unknown, path: Path, inner: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return inner;
  if (Array.isArray(value)) return value.map((item: unknown, index) => (index === key ? replaced(item, rest, inner) : item));
  return { ...(value as Map), [key]: replaced((value as Map)[key], rest, inner) };
}

/** A copy of `value` without what stands at `paths`; a list goes as a whole, since its other items would move. */
function without(value: unknown, paths: readonly Path[]): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const result: Map = {};
  for (const [key, inner] of Object.entries(value)) {
    const below = paths.filter((path) => path[0] === key).map((path) => path.slice(1));
    const gone = below.some((path) => path.length === 0 || typeof path[0] === "number");
    if (!gone) result[key] = below.length === 0 ? inner : without(inner, below);
  }
  return result;
}

/** What the key at `path` means, as the hint for one that is missing. */
function meaningOf(schema: Schema, path: Path): string {
  let here: Schema | undefined = schema;
  for (const part of path) {
    here = shapes(here)
      .flatMap((shape) => schemaOf(shape, String(part)))
      .at(0);
    if (here === undefined) return "";
  }
  return metadataOf(here, "description") ?? "";
}
