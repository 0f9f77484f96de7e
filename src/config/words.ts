/**
 * Turns what valibot says into what people read.
 *
 * Messages that a schema brings itself (`must be a size such as …`) stay; valibot's own (`Invalid type: Expected …`) are said
 * anew, and the many complaints of a union become one.
 */
import type { BaseIssue } from "valibot";
import { listed, suggestion } from "./nearest.ts";
import type { Path } from "./mistake.ts";

export type Issue = BaseIssue<unknown>;

export interface Said {
  path: Path;
  code: "config_missing_key" | "config_value";
  message: string;
  hint: string;
}

/** The path of an issue, from the schema's top. */
export function pathOf(issue: Issue): Path {
  return (issue.path ?? []).map((item) => (typeof item.key === "number" ? item.key : String(item.key)));
}

/** True for a key that has to be there and is not. */
export function isMissing(issue: Issue): boolean {
  const last = issue.path?.at(-1);
  return issue.received === "undefined" && last !== undefined && (last.origin === "key" || !(isObject(last.input) && String(last.key) in last.input));
}

/**
 * The issues that say what is wrong: of a union whose alternatives reach into the value, what they say about its parts, once for
 * each part; of any other union, the union itself.
 */
export function flatten(issues: readonly Issue[]): Issue[] {
  return issues.flatMap((issue) => {
    if (issue.issues === undefined || !isObject(issue.input)) return [issue];
    // A list is an object to JavaScript: alternatives that took it for a map have nothing to say.
    const sort = Array.isArray(issue.input) ? "array" : "object";
    const deeper = issue.issues.filter((inner) => inner.path?.[0].type === sort);
    if (deeper.length === 0) return [issue];
    const base = issue.path ?? [];
    const seen = new Set<string>();
    return flatten(deeper)
      .map((inner): Issue => ({ ...inner, path: [...base, ...(inner.path ?? [])] as unknown as NonNullable<Issue["path"]> }))
      .filter((inner) => {
        const key = JSON.stringify(pathOf(inner));
        return !seen.has(key) && seen.add(key);
      });
  });
}

/** One issue in words. `show` is false when the value must not be repeated (it came from the environment). */
export function say(issue: Issue, show: boolean): Said {
  const path = pathOf(issue);
  if (isMissing(issue)) return { path, code: "config_missing_key", message: "is missing", hint: "" };
  const found = show ? `, not ${shown(issue.input)}` : "";
  if (!issue.message.startsWith("Invalid ")) {
    const complete = issue.kind !== "schema" || issue.message.includes(" not ");
    const message = show ? issue.message : issue.message.replaceAll(JSON.stringify(issue.input) ?? "", "what the variable holds");
    return { path, code: "config_value", message: `${message}${complete ? "" : found}`, hint: hintOf(issue, show) };
  }
  const words = wordsOf(issue);
  const wanted =
    words.length > 0
      ? listed(words)
      : (typeWords[issue.expected ?? ""] ?? issue.message.replace(/^Invalid (type|value|format|length): Expected (.*) but received.*$/s, "$2"));
  return { path, code: "config_value", message: `must be ${wanted}${found}`, hint: hintOf(issue, show) };
}

/** The value as a message may show it: short, and only the sort of it when it is not one value. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isObject(value)) return "a map";
  if (value === null) return "empty";
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

const typeWords: Record<string, string> = {
  string: "text",
  number: "a number",
  boolean: "true or false",
  Array: "a list",
  Object: "a map of keys",
};

function hintOf(issue: Issue, show: boolean): string {
  const words = wordsOf(issue);
  if (!show || words.length < 2 || typeof issue.input !== "string") return "";
  const hint = suggestion(issue.input, words, "");
  return hint.startsWith("did you mean") ? hint : "";
}

/** `a`, `b` of an expectation such as `("a" | "b")`; none when it expects anything but fixed words. */
function wordsOf(issue: Issue): string[] {
  const expected = issue.expected ?? "";
  if (!/^\(?"[^"]*"( ?\| ?"[^"]*")*\)?$/.test(expected)) return [];
  return [...expected.matchAll(/"([^"]*)"/g)].map((match) => match[1] ?? "");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
