/**
 * The import table: main → command → agent → config → {source, pipeline, spool, sink, control} → core.
 *
 * Siblings never import siblings: they know each other's contracts from core/contract.ts, and the agent hands them over.
 * Type-only imports count as well, so the tree is read and not what a transpiler leaves of it.
 */
import { dirname, join, normalize } from "node:path";
import { type Source, type Violation, isNode, lineOf, stringOf, walk } from "./source.ts";

const stages = ["source", "pipeline", "spool", "sink", "control"];

/** A larger number may import a smaller one. Stages are of one height, and that is the point. */
const heights: Readonly<Record<string, number>> = {
  main: 5,
  command: 4,
  agent: 3,
  config: 2,
  core: 0,
  ...Object.fromEntries(stages.map((stage) => [stage, 1])),
};

/** What `config` takes from the stages: the schemas lie with their component. */
const configMay = ["src/source/registry.ts", "src/sink/registry.ts", "src/spool/config.ts", "src/control/config.ts"];

/** `dependencies` are the names package.json gives to the product; a test may use all others too. */
export function checkImports(source: Source, dependencies: ReadonlySet<string>): Violation[] {
  if (!source.path.startsWith("src/")) return [];
  const found: Violation[] = [];
  for (const { specifier, offset } of importsOf(source)) {
    const message = specifier.startsWith(".") ? judgeOwn(source, specifier) : judgePackage(source, specifier, dependencies);
    if (message !== undefined) found.push({ path: source.path, line: lineOf(source.text, offset), message });
  }
  return found;
}

export interface Import {
  readonly specifier: string;
  readonly offset: number;
  /** Gone when it runs. */
  readonly typeOnly: boolean;
}

/** Every specifier: static, re-exported, dynamic, and of types (`import("x").T`). */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  walk(source.program, (node) => {
    const from = node.type === "TSImportType" ? (node["source"] ?? node["argument"]) : node["source"];
    const literal = isNode(from) && from.type === "TSLiteralType" ? from["literal"] : from;
    const specifier = /^(Import|Export|TSImportType)/.test(node.type) ? stringOf(literal) : undefined;
    const typeOnly = node.type === "TSImportType" || node["importKind"] === "type" || node["exportKind"] === "type";
    if (specifier !== undefined) found.push({ specifier, offset: node.start, typeOnly });
  });
  return found;
}

function judgePackage(source: Source, specifier: string, dependencies: ReadonlySet<string>): string | undefined {
  if (/^(node:|bun:|bun$)/.test(specifier) || source.test) return undefined;
  const name = specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
  return dependencies.has(name) ? undefined : `imports ${name}: write it into "dependencies" of package.json first`;
}

function judgeOwn(source: Source, specifier: string): string | undefined {
  const target = normalize(join(dirname(source.path), specifier)).replaceAll("\\", "/");
  if (!/\.(tsx?|json|css|html|svg|txt)$/.test(target)) return `imports ${specifier}: write the file's ending, .ts`;
  if (!target.startsWith("src/")) {
    return source.test ? undefined : `imports ${target}: the product imports from src/ only`;
  }
  const [from, to] = [layerOf(source.path), layerOf(target)];
  if (from === to) return judgeComponent(source, target);
  if (from === "config" && stages.includes(to)) {
    return configMay.includes(target)
      ? undefined
      : `imports ${target}: config takes ${configMay.map((path) => path.slice(4)).join(", ")} from the stages and nothing else`;
  }
  const [height, below] = [heights[from], heights[to]];
  if (height === undefined || below === undefined) return `${height === undefined ? from : to} is not in the import table: see AGENTS.md`;
  if (height > below) return undefined;
  if (height === below) return `imports ${target}: siblings never import siblings; share it through core/, or let the agent hand it over`;
  return `imports ${target}: imports go down (main → command → agent → config → stages → core); move what both need to core/`;
}

/** Inside a layer: a component's folder knows itself and what its stage shares; only the registry knows the components. */
function judgeComponent(source: Source, target: string): string | undefined {
  const layer = layerOf(source.path);
  if (layer !== "source" && layer !== "sink") return undefined;
  const [from, to] = [componentOf(source.path), componentOf(target)];
  if (from === to) return undefined;
  const registry = `src/${layer}/registry.ts`;
  if (to === undefined) return target === registry && !source.test ? `imports ${target}: a component does not know the registry` : undefined;
  if (from === undefined) return source.path === registry || source.test ? undefined : `imports ${target}: only ${registry} knows the components`;
  return `imports ${target}: one component does not know another; share it in src/${layer}/ or core/`;
}

/** `src/source/file/tail.ts` → `source`; `src/agent.ts` → `agent`. */
function layerOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.tsx?$/, "");
}

/** `src/source/file/tail.ts` → `file`; `src/source/schema.ts` → undefined. */
function componentOf(path: string): string | undefined {
  const parts = path.split("/");
  return parts.length > 3 ? parts[2] : undefined;
}
