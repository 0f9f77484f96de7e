/** Fault codes: every one used in src/ has a row in the operating guide, and no row tells of a code that is gone. */
import { type Node, type Source, type Violation, dottedName, isNode, lineOf, stringOf, walk } from "./source.ts";

export const guide = "docs/operating.md";

export interface FaultCode {
  readonly code: string;
  readonly path: string;
  readonly line: number;
}

/** A code has two words at least: one alone is an errno or a word of the protocol. */
const shape = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)+$/;

/**
 * The codes of the product: string literals that become `code`, be it as a key of an object, as the type of a field,
 * as the default of a parameter, or as an argument where a function of ours has a parameter of that name.
 */
export function faultCodes(sources: readonly Source[]): FaultCode[] {
  const product = sources.filter((source) => source.path.startsWith("src/") && !source.test);
  const takers = takersOf(product);
  return product.flatMap((source) => {
    const found: FaultCode[] = [];
    const take = (node: unknown): void => {
      if (!isNode(node)) return;
      walk(node, (inner) => {
        const code = stringOf(inner);
        if (code !== undefined && shape.test(code)) found.push({ code, path: source.path, line: lineOf(source.text, inner.start) });
      });
    };
    walk(source.program, (node) => {
      if (node.type === "Property" && nameOf(node["key"]) === "code") take(conclusion(node["value"]));
      if (/^(?:TSPropertySignature|PropertyDefinition)$/.test(node.type) && nameOf(node["key"]) === "code") take(node["typeAnnotation"]);
      if (node.type === "VariableDeclarator" && nameOf(node["id"]) === "code") take(conclusion(node["init"]));
      if (node.type !== "CallExpression") return;
      const index = takers.get(dottedName(node["callee"])?.split(".").at(-1) ?? "");
      if (index !== undefined) take(conclusion((node["arguments"] as Node[])[index]));
    });
    return found;
  });
}

/**
 * Codes without a row, rows without a code. A row is a line of a table below the heading `Fault codes` that begins with the code
 * in backquotes; the guide's other tables tell of states, files and metrics.
 */
export function checkFaults(codes: readonly FaultCode[], guideText: string): Violation[] {
  const begin = guideText.search(/^## Fault codes$/m);
  const matches = [...guideText.matchAll(/^\|\s*`([a-z0-9_]+)`\s*\|/gm)].filter(({ index, 1: code = "" }) => index > begin && shape.test(code));
  const rows = new Map(matches.map((match) => [match[1] ?? "", lineOf(guideText, match.index)]));
  const used = new Set(codes.map(({ code }) => code));
  const first = new Map(codes.toReversed().map((code) => [code.code, code]));
  return [
    ...[...first.values()]
      .filter(({ code }) => !rows.has(code))
      .map(({ code, path, line }) => ({ path, line, message: `fault code ${code} has no row in ${guide}: say what it means and what to do` })),
    ...[...rows]
      .filter(([code]) => !used.has(code))
      .map(([code, line]) => ({ path: guide, line, message: `fault code ${code} is not used in src/ any more: take the row out` })),
  ];
}

/** Of `a ? b : c`, `a ?? b` and the like only what it can be in the end, not what it is decided by. */
function conclusion(node: unknown): unknown {
  if (!isNode(node)) return node;
  if (node.type === "ConditionalExpression")
    return { type: "Either", start: node.start, end: node.end, parts: [conclusion(node["consequent"]), conclusion(node["alternate"])] };
  return /^(?:Literal|TemplateLiteral|LogicalExpression|Either|TSAsExpression)$/.test(node.type) ? node : undefined;
}

/** Functions and methods with a parameter `code`, by name, and which one it is. */
function takersOf(sources: readonly Source[]): Map<string, number> {
  const takers = new Map<string, number>();
  for (const source of sources) {
    walk(source.program, (node, parent) => {
      const params = node["params"];
      if (!/Function/.test(node.type) || !Array.isArray(params)) return;
      const index = params.findIndex((param) => nameOf(param) === "code");
      const name = nameOf(node["id"]) ?? nameOf(parent?.["key"]) ?? nameOf(parent?.["id"]);
      if (index >= 0 && name !== undefined) takers.set(name, index);
    });
  }
  return takers;
}

function nameOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined;
  if (node.type === "AssignmentPattern") return nameOf(node["left"]);
  return node.type === "Identifier" || node.type === "PrivateIdentifier" ? String(node["name"]) : stringOf(node);
}
