/** Length and heads: files up to 400 lines, functions up to 70, and a docstring that opens the file. */
import { type Node, type Source, type Violation, lineOf, walk } from "./source.ts";

const fileLinesMax = 400;
const functionLinesMax = 70;

export function checkSize(source: Source): Violation[] {
  const found: Violation[] = [];
  const lines = source.text.trimEnd().split("\n").length;
  if (lines > fileLinesMax) found.push({ path: source.path, line: 1, message: `${lines} lines, ${fileLinesMax} at most: one idea a file, split it` });
  // The body of `describe` is a file in a file; single tests are short by themselves.
  if (!source.test) walk(source.program, (node, parent) => found.push(...judgeFunction(source, node, parent)));
  return found;
}

function judgeFunction(source: Source, node: Node, parent: Node | undefined): Violation[] {
  if (!["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"].includes(node.type)) return [];
  const lines = lineOf(source.text, node.end) - lineOf(source.text, node.start) + 1;
  if (lines <= functionLinesMax) return [];
  const named = [node, parent].map((one) => (one?.["id"] ?? one?.["key"]) as { name?: string } | undefined).find((one) => one?.name !== undefined);
  const message = `function ${named?.name ?? ""} has ${lines} lines, ${functionLinesMax} at most: give its parts names`;
  return [{ path: source.path, line: lineOf(source.text, node.start), message }];
}

/** A test beside its source is told by its name what it is about. */
export function checkHead(source: Source): Violation[] {
  if (source.test && source.path.startsWith("src/")) return [];
  if (/^(#![^\n]*\n)?\/\*\*/.test(source.text)) return [];
  return [{ path: source.path, line: 1, message: "no head: open the file with /** what it is and what it promises */" }];
}
