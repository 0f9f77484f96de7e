/**
 * The configuration as the agent takes it, and how a file becomes one.
 *
 * Either it is right as a whole, or all its mistakes are told at once: no part is ever taken from a wrong file. Schemas lie with
 * their components; this folder knows only the top, the names, and what holds between components.
 */
import * as v from "valibot";
import type { SinkKind, SourceKind } from "../core/contract.ts";
import { controlSchema, type ControlConfig } from "../control/config.ts";
import { duration, text as filledText } from "../core/values.ts";
import { spoolSchema, type SpoolConfig } from "../spool/config.ts";
import { readComponents, type Entry } from "./components.ts";
import { crossFindings } from "./cross.ts";
import { readDocument, type Tree } from "./document.ts";
import { pathText, type Finding, type Mistake } from "./mistake.ts";
import { validate } from "./validate.ts";
import type { Environment } from "./variables.ts";

/** Durations in milliseconds, sizes in bytes; keys as the user writes them. */
export interface Config extends TopConfig {
  spool: SpoolConfig;
  /** By name, in the order of the file. */
  sources: Record<string, Entry<SourceKind>>;
  sinks: Record<string, Entry<SinkKind>>;
  control: ControlConfig;
}

/** Either the configuration and where its keys stand, or every mistake in the order of the lines (at least one). */
export type Loaded = { readonly config: Config; readonly spot: Tree["spot"] } | { readonly mistakes: Mistake[] };

/** What there is to choose `type` from. */
export interface Kinds {
  readonly sources: readonly SourceKind[];
  readonly sinks: readonly SinkKind[];
}

/** The keys at the top that belong to no component. `host` is the machine's name when it is left out. */
export const topSchema = v.strictObject({
  host: v.optional(
    v.pipe(filledText(), v.description("Name of this machine in every record and every object name. Default: the machine's own name.")),
  ),
  drain_timeout: v.optional(
    v.pipe(duration(), v.description("How long a stop waits for the sinks. What is not delivered by then stays in the spool for the next start.")),
    "30s",
  ),
  health: v.optional(
    v.strictObject({
      stalled_after: v.optional(
        v.pipe(duration(), v.minValue(1000, "must be at least 1s"), v.description("Lag without progress for longer than this makes /health fail.")),
        "2m",
      ),
    }),
    {},
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(
        v.pipe(v.picklist(["debug", "info", "warn", "error"]), v.description("Least severity that logferry's own log on stderr shows.")),
        "info",
      ),
      format: v.optional(v.pipe(v.picklist(["json", "text"]), v.description("`json` for journald and collectors, `text` for people.")), "json"),
    }),
    {},
  ),
});

export type TopConfig = v.InferOutput<typeof topSchema> & { host: string };

/** The whole file: what lies in the parts is left to the components. */
const part = v.optional(v.unknown());
const fileSchema = v.strictObject({ ...topSchema.entries, spool: part, sources: part, sinks: part, control: part });

/**
 * The configuration in `content`. `file` is its name: it goes into the mistakes, and one that ends in `.json` is read as JSON.
 * `hostname` is what `host` is when left out.
 */
export function parseConfig(content: string, file: string, environment: Environment, hostname: string, known: Kinds): Loaded {
  const { tree, findings } = readDocument(content, file.endsWith(".json") ? "json" : "yaml", environment);
  const mistakes = (): Mistake[] => placed(file, findings, tree);
  if (tree === undefined) return { mistakes: mistakes() };
  if (tree.value === null) {
    return { mistakes: [whole(file, "config_empty", "the file is empty", "write at least one source and one sink; docs/config.md shows how")] };
  }
  if (typeof tree.value !== "object" || Array.isArray(tree.value)) {
    return { mistakes: [whole(file, "config_value", "the file must be a map of keys", "it begins with keys such as `sources:` and `sinks:`")] };
  }
  const { spool, sources, sinks, control } = tree.value as Record<string, unknown>;
  const top = validate(fileSchema, tree.value, [], tree, findings, "");
  const config = {
    host: top?.host ?? hostname,
    drain_timeout: top?.drain_timeout,
    health: top?.health,
    log: top?.log,
    spool: validate(spoolSchema, spool === undefined ? {} : spool, ["spool"], tree, findings, "spool"),
    control: validate(controlSchema, control === undefined ? {} : control, ["control"], tree, findings, "control"),
    sources: readComponents("sources", sources, known.sources, tree, findings),
    sinks: readComponents("sinks", sinks, known.sinks, tree, findings),
  };
  findings.push(...crossFindings(config, tree));
  return findings.length > 0 ? { mistakes: mistakes() } : { config: config as Config, spot: (path) => tree.spot(path) };
}

/** A mistake of the file as a whole. */
export function whole(file: string, code: string, message: string, hint: string): Mistake {
  return { file, line: 0, column: 0, path: "", code, message, hint };
}

/** The findings with their place, in the order of the file. */
function placed(file: string, findings: readonly Finding[], tree: Tree | undefined): Mistake[] {
  return findings
    .map(({ path, code, message, hint = "", spot }) => ({
      file,
      ...(spot ?? tree?.spot(path) ?? { line: 0, column: 0 }),
      path: pathText(path),
      code,
      message,
      hint,
    }))
    .toSorted((a, b) => a.line - b.line || a.column - b.column);
}
