/**
 * Reads YAML and JSON into plain values that know where in the file they stand.
 *
 * It takes maps, lists, text, numbers, true and false, and nothing else: keys are text and stand once; explicit tags and merge
 * keys are refused; aliases work, but what they unfold to is bounded, so that a small file cannot become a large one.
 * Variables are put into values after parsing, so their text can never become structure.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node, type Pair, type YAMLError } from "yaml";
import { pathText, type Finding, type Path, type Spot } from "./mistake.ts";
import { substitute, type Environment } from "./variables.ts";

/** Values in one file, aliases unfolded: a thousand sources of ten keys each. */
const valuesMax = 10_000;
/** No key of ours lies deeper than six. */
const depthMax = 32;

export interface Tree {
  /** Maps without prototype, lists, text, numbers, booleans, null. What could not be read is left out. */
  readonly value: unknown;
  /** Where the key stands, or the item of a list; the nearest part that is there when the path itself is not. */
  spot(path: Path): Spot;
  /** Paths (as text) whose value could not be read: what else is wrong with them follows from that. */
  readonly spoiled: Set<string>;
  /** Paths (as text) whose text came from a variable: it may stand for a number or a boolean, and is never shown. */
  readonly fromVariables: ReadonlySet<string>;
}

/** The document, or the one mistake that keeps it from being read at all; `findings` are the ones that do not. */
export function readDocument(text: string, form: "yaml" | "json", environment: Environment): { tree?: Tree; findings: Finding[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, schema: "core", merge: false });
  const error = document.errors[0];
  // Only the first: what follows it in a broken file is mostly its echo.
  if (error !== undefined) return { findings: [syntax(error, text, lines)] };
  const strict = form === "json" ? notJson(document, text, lines) : undefined;
  if (strict !== undefined) return { findings: [strict] };
  const reader = new Reader(text, lines, document, environment);
  const value = reader.read(document.contents, []);
  if (reader.overflow !== undefined) return { findings: [reader.overflow] };
  const { spots, spoiled, fromVariables } = reader;
  const spot = (path: Path): Spot => {
    for (let length = path.length; length > 0; length--) {
      const found = spots.get(pathText(path.slice(0, length)));
      if (found !== undefined) return found;
    }
    return { line: 1, column: 1 };
  };
  return { tree: { value, spot, spoiled, fromVariables }, findings: reader.findings };
}

class Reader {
  readonly findings: Finding[] = [];
  readonly spots = new Map<string, Spot>();
  readonly spoiled = new Set<string>();
  readonly fromVariables = new Set<string>();
  /** Set once the bounds are passed: the rest is not read. */
  overflow: Finding | undefined;
  #values = 0;
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #document: Document;
  readonly #environment: Environment;

  constructor(text: string, lines: LineCounter, document: Document, environment: Environment) {
    this.#text = text;
    this.#lines = lines;
    this.#document = document;
    this.#environment = environment;
  }

  /** The plain value of `node`; undefined when a finding was made instead. */
  read(node: unknown, path: Path): unknown {
    if (this.overflow !== undefined) return undefined;
    if (++this.#values > valuesMax || path.length > depthMax) {
      const much = path.length > depthMax ? `is nested deeper than ${depthMax} levels` : `holds more than ${valuesMax} values, its aliases unfolded`;
      this.overflow = {
        path: [],
        spot: this.#spotOf(node),
        code: "config_too_large",
        message: `the file ${much}`,
        hint: "write fewer or flatter entries",
      };
      return undefined;
    }
    if (node === null || node === undefined) return null;
    if (isAlias(node)) {
      const target = node.resolve(this.#document);
      if (target !== undefined) return this.read(target, path);
      return this.#refuse(
        node,
        path,
        "config_alias",
        `the alias \`*${node.source}\` names no anchor before it`,
        "define it above as `&NAME`, or write the value out",
      );
    }
    const { tag } = node as Node;
    if (tag !== undefined && !/^tag:yaml\.org,2002:(str|int|float|bool|null|map|seq)$/.test(tag)) {
      return this.#refuse(
        node,
        path,
        "config_tag",
        `the tag \`${tag}\` is not read here`,
        "take it out; values are text, numbers, true, false, lists and maps",
      );
    }
    if (isMap(node)) return this.#map(node.items, path);
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const here = [...path, index];
        this.spots.set(pathText(here), this.#spotOf(item));
        return this.read(item, here);
      });
    }
    if (isScalar(node)) return typeof node.value === "string" ? this.#string(node, node.value, path) : node.value;
    return null;
  }

  #map(pairs: readonly Pair[], path: Path): Record<string, unknown> {
    // No prototype: a key called `constructor` or `__proto__` is a key like any other.
    const map = Object.create(null) as Record<string, unknown>;
    for (const { key, value } of pairs) {
      const spot = this.#spotOf(key);
      if (!isScalar(key) || typeof key.value !== "string") {
        const found = isScalar(key) ? `\`${String(key.value)}\`` : "this";
        this.findings.push({ path, spot, code: "config_key_not_text", message: `keys are text, and ${found} is not`, hint: "put the key in quotes" });
        continue;
      }
      const here = [...path, key.value];
      if (key.value === "<<") {
        this.#refuse(key, here, "config_alias", "merge keys (`<<`) are not read", "write the keys out, or use an alias for a whole value");
      } else if (key.value in map) {
        const first = this.spots.get(pathText(here))?.line ?? 0;
        this.findings.push({
          path: here,
          spot,
          code: "config_duplicate_key",
          message: `the key \`${key.value}\` stands here again; it is on line ${first} already`,
          hint: "keep one of them",
        });
      } else {
        this.spots.set(pathText(here), spot);
        map[key.value] = this.read(value, here);
      }
    }
    return map;
  }

  #string(node: Node, text: string, path: Path): string | undefined {
    const { text: result, used, mistakes } = substitute(text, this.#environment);
    const [start = 0, end = 0] = node.range ?? [];
    for (const { at, ...mistake } of mistakes) {
      // Within a text of several lines the reference has a line of its own.
      const found = this.#text.indexOf(at, start);
      this.findings.push({ ...mistake, path, spot: this.#spotAt(found >= 0 && found < end ? found : start) });
    }
    if (used) this.fromVariables.add(pathText(path));
    if (mistakes.length === 0) return result;
    this.spoiled.add(pathText(path));
    return undefined;
  }

  #refuse(node: unknown, path: Path, code: string, message: string, hint: string): undefined {
    this.findings.push({ path, spot: this.#spotOf(node), code, message, hint });
    this.spoiled.add(pathText(path));
    return undefined;
  }

  #spotOf(node: unknown): Spot {
    const range = (node as Node | null)?.range;
    return this.#spotAt(range?.[0] ?? 0);
  }

  #spotAt(offset: number): Spot {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

function syntax(error: YAMLError, text: string, lines: LineCounter): Finding {
  const { line, col } = lines.linePos(error.pos[0]);
  const source = text.split("\n")[line - 1] ?? "";
  const message = error.message.charAt(0).toLowerCase() + error.message.slice(1);
  let hint = "look at this line and the one above it: a missing colon, quote or bracket, or indentation that does not line up";
  if (error.code === "TAB_AS_INDENT") hint = "indent with spaces";
  else if (error.code === "MULTIPLE_DOCS") hint = "a configuration is one document: take out the line ---";
  else if (source.includes("${")) hint = "put quotes around a value with ${…} when it stands inside { } or [ ]";
  return { path: [], spot: { line, column: col }, code: "config_syntax", message: `syntax error: ${message}`, hint };
}

/** What YAML allows and JSON does not, in a file that calls itself JSON. */
function notJson(document: Document, text: string, lines: LineCounter): Finding | undefined {
  if (text.trim() === "") return undefined; // empty is said elsewhere
  try {
    JSON.parse(text.replace(/^\uFEFF/, ""));
    return undefined;
  } catch (error) {
    let offset = 0;
    visit(document, (_, node) => {
      if (
        isAlias(node) ||
        (isScalar(node) && node.type !== "QUOTE_DOUBLE" && !(node.type === "PLAIN" && /^(true|false|null|-?\d.*)$/.test(node.source ?? ""))) ||
        ((isMap(node) || isSeq(node)) && node.flow !== true)
      ) {
        offset = node.range?.[0] ?? 0;
        return visit.BREAK;
      }
      return undefined;
    });
    const { line, col } = lines.linePos(offset);
    return {
      path: [],
      spot: { line: Math.max(1, line), column: Math.max(1, col) },
      code: "config_syntax",
      message: `not valid JSON: ${(error as Error).message}`,
      hint: "JSON wants double quotes and no comments or trailing commas; name the file .yaml to write YAML",
    };
  }
}
