/** The files tidy looks at, parsed once, and how a rule reports what it finds. */
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

/** What a rule found. The message says what to write instead. */
export interface Violation {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** A node of the syntax tree (ESTree with TypeScript's own). `start` is an offset into the text. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

export interface Source {
  /** Relative to the checkout, `/` between names. */
  readonly path: string;
  readonly text: string;
  readonly program: Node;
  /** True for `x.test.ts`. */
  readonly test: boolean;
}

export const root = join(import.meta.dir, "..", "..");

/** Parses one file; throws when it is not TypeScript. */
export function parse(path: string, text: string): Source {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  return { path, text, program: program as unknown as Node, test: /\.test\.tsx?$/.test(path) };
}

/** Every text file of the checkout that is ours: what git would add, without generated trees. */
export function listFiles(): string[] {
  const git = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "-z"], { cwd: root });
  if (!git.success) throw new Error("tidy reads the list of files from git: run it in a checkout");
  const names = git.stdout.toString().split("\0");
  // A file of the index may be gone from the disk; a symlink is judged where it leads.
  return names.filter((name) => name !== "" && lstatSync(join(root, name), { throwIfNoEntry: false })?.isFile());
}

export function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** Every TypeScript and JavaScript file among `files`, parsed. */
export function readSources(files: readonly string[]): Source[] {
  return files.filter((path) => /\.(ts|tsx|mjs)$/.test(path)).map((path) => parse(path, readText(path)));
}

/** Calls `visit` with every node and the one above it, from the top. */
export function walk(node: Node, visit: (node: Node, parent: Node | undefined) => void, parent?: Node): void {
  visit(node, parent);
  for (const value of Object.values(node)) {
    if (isNode(value)) walk(value, visit, node);
    else if (Array.isArray(value)) for (const item of value) if (isNode(item)) walk(item, visit, node);
  }
}

export function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

/** The line of `offset`, from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/** `Date.now`, `fetch`, `this.x.y`: the dotted name of an expression, undefined when it is none. */
export function dottedName(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "ThisExpression") return "this";
  if (node.type === "Identifier" || node.type === "PrivateIdentifier") return String(node["name"]);
  if (node.type === "ChainExpression") return dottedName(node["expression"]);
  if (node.type !== "MemberExpression") return undefined;
  const object = dottedName(node["object"]);
  const property = node["computed"] === true ? stringOf(node["property"]) : dottedName(node["property"]);
  return object === undefined || property === undefined ? undefined : `${object}.${property}`;
}

/** The value of a string literal, or of a template without holes. */
export function stringOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "Literal" && typeof node["value"] === "string") return node["value"];
  const quasis = node["quasis"] as { value: { cooked: string } }[] | undefined;
  return node.type === "TemplateLiteral" && quasis?.length === 1 ? quasis[0]?.value.cooked : undefined;
}
