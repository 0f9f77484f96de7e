/**
 * What must hold between components: names that are referred to exist, and no two components share a place.
 *
 * Only what came out whole on its own is compared: a mistake is never told a second time as a conflict.
 */
import { resolve } from "node:path";
import type { Tree } from "./document.ts";
import type { Entry } from "./components.ts";
import type { Finding, Path } from "./mistake.ts";
import { suggestion } from "./nearest.ts";
import { isSpoiled } from "./validate.ts";

type Components = Record<string, Entry<{ readonly type: string }>>;

interface Parts {
  readonly sources: Components;
  readonly sinks: Components;
  readonly control: { readonly listen?: unknown } | undefined;
}

export function crossFindings(parts: Parts, tree: Tree): Finding[] {
  return [
    ...unknownSources(tree),
    ...heldByRequired(parts.sinks, tree),
    ...sharedPlaces(parts.sinks, tree),
    ...sharedListeners(parts, tree),
    ...severalStdin(parts.sources),
  ];
}

/** `from` names sources of this file; taken from the file itself, so that a source with another mistake still counts. */
function unknownSources(tree: Tree): Finding[] {
  const { sources, sinks } = tree.value as { sources?: unknown; sinks?: unknown };
  const names = keysOf(sources);
  if (names.length === 0) return []; // no source at all is told already
  return Object.entries(mapOf(sinks)).flatMap(([sink, value]) => {
    const from: unknown = mapOf(value)["from"];
    if (!Array.isArray(from)) return [];
    return from.flatMap((name: unknown, index): Finding[] => {
      const path = ["sinks", sink, "from", index];
      if (typeof name !== "string" || names.includes(name) || isSpoiled(path, tree)) return [];
      return [{ path, code: "config_unknown_source", message: `there is no source \`${name}\``, hint: suggestion(name, names, "sources here") }];
    });
  });
}

/** A required sink holds all it has not shipped: a bound beside that would be one that is not kept. */
function heldByRequired(sinks: Components, tree: Tree): Finding[] {
  return Object.entries(sinks).flatMap(([name, { config }]): Finding[] => {
    const { required, hold_bytes } = mapOf(config);
    const path = ["sinks", name, "hold_bytes"];
    if (hold_bytes === undefined || required === false || isSpoiled(path, tree)) return [];
    const hint = "add `required: false` to let this sink lose its oldest records, or remove `hold_bytes`";
    return [{ path, code: "config_held_by_required", message: "needs `required: false`", hint }];
  });
}

/** The keys that together name where a sink writes. Two sinks in one place would take each other's objects for a forked spool. */
const placeKeys: Record<string, readonly string[]> = { s3: ["endpoint", "bucket", "prefix"], directory: ["dir", "prefix"] };

function sharedPlaces(sinks: Components, tree: Tree): Finding[] {
  const taken = new Map<string, string>();
  const findings: Finding[] = [];
  for (const [name, { kind, config }] of Object.entries(sinks)) {
    const keys = placeKeys[kind.type];
    if (keys === undefined || keys.some((key) => isSpoiled(["sinks", name, key], tree))) continue;
    const values = mapOf(config);
    const place = [kind.type, ...keys.map((key) => placePart(key, values[key]))].join("\n");
    const other = taken.get(place);
    if (other === undefined) taken.set(place, name);
    else {
      const what = keys.filter((key) => key !== "endpoint").join(" and ");
      findings.push({
        path: ["sinks", name],
        code: "config_shared_place",
        message: `writes to the same ${what} as the sink \`${other}\``,
        hint: "give one of them another `prefix`",
      });
    }
  }
  return findings;
}

/** `/data/x/..` and `/data` are one folder; a prefix is taken as it is, so `raw` and `raw/` are two. */
function placePart(key: string, value: unknown): string {
  if (typeof value !== "string") return "";
  return key === "dir" ? resolve(value) : value;
}

/** Two servers of one file cannot have one port. Port 0 is any free one. */
function sharedListeners({ sources, control }: Parts, tree: Tree): Finding[] {
  const listeners: [Path, unknown][] = [
    ...Object.entries(sources).map(([name, { config }]): [Path, unknown] => [["sources", name, "listen"], mapOf(config)["listen"]]),
    [["control", "listen"], control?.listen],
  ];
  const taken: { host: string; port: number; path: Path }[] = [];
  const findings: Finding[] = [];
  for (const [path, value] of listeners) {
    const { host, port } = mapOf(value);
    if (typeof host !== "string" || typeof port !== "number" || port === 0 || isSpoiled(path, tree)) continue;
    const other = taken.find((one) => one.port === port && (one.host === host || isAny(one.host) || isAny(host)));
    if (other === undefined) taken.push({ host, port, path });
    else {
      findings.push({
        path,
        code: "config_shared_place",
        message: `listens on port ${port}, and so does \`${other.path.join(".")}\``,
        hint: "give one of them another port",
      });
    }
  }
  return findings;
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function severalStdin(sources: Components): Finding[] {
  const names = Object.keys(sources).filter((name) => sources[name]?.kind.type === "stdin");
  return names.slice(1).map((name) => ({
    path: ["sources", name],
    code: "config_shared_place",
    message: `reads standard input, and so does the source \`${names[0] ?? ""}\``,
    hint: "keep one source of type stdin",
  }));
}

function keysOf(value: unknown): string[] {
  return Object.keys(mapOf(value));
}

function mapOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
