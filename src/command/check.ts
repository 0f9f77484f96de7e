/**
 * `logferry check`: every mistake in the configuration, and whether each source and sink would work.
 *
 * It changes nothing but what a component's own check writes and removes again. Exit codes: 0 fine, 1 a component would not
 * work, 2 mistakes in the configuration.
 */
import type { CheckContext, Finding } from "../core/contract.ts";
import { withDeadline } from "../core/deadline.ts";
import { describe, Fault } from "../core/fault.ts";
import { harmlessJson, visible } from "../core/shown.ts";
import type { Config } from "../config/config.ts";
import { load } from "../config/load.ts";
import type { Mistake } from "../config/mistake.ts";
import { mistakesText } from "./config.ts";
import { plural } from "./human.ts";
import type { Io } from "./io.ts";
import { painter, type Paint } from "./paint.ts";

export interface CheckOptions {
  config: string;
  offline?: boolean;
  json?: boolean;
}

/** What a component answered, under its path in the configuration. */
interface Answer {
  path: readonly [group: "sources" | "sinks", name: string];
  finding: Finding;
}

/** A component bounds its own tries; this is for one that does not come back at all. */
const checkMsMax = 60_000;

export async function run(options: CheckOptions, io: Io): Promise<number> {
  const loaded = await load(options.config, io.env, io.doors.disk);
  if ("mistakes" in loaded) {
    await io.stdout(options.json === true ? jsonText(loaded.mistakes) : mistakesText(loaded.mistakes));
    return 2;
  }
  const { config, spot } = loaded;
  const answers = options.offline === true ? [] : await askAll(config, io);
  const failed = answers.filter(({ finding }) => !finding.ok);
  if (options.json === true) {
    const problems = answers
      .filter(({ finding }) => !finding.ok || isAdvice(finding))
      .map(({ path, finding }) => {
        const { ok, code = "check_failed", message = "", hint = "" } = finding;
        return {
          ...(ok ? { severity: "advice" as const } : {}),
          file: options.config,
          ...spot(path),
          path: path.join("."),
          code,
          message: `${finding.what}: ${message}`,
          hint,
        };
      });
    await io.stdout(jsonText(problems));
  } else await io.stdout(answersText(config, answers, options, painter(io, "stdout")));
  return failed.length > 0 ? 1 : 0;
}

function jsonText(mistakes: readonly Mistake[]): string {
  return `${harmlessJson(JSON.stringify(mistakes, null, 2))}\n`;
}

/** Asks all components at once; the answers come in the order of the file. */
async function askAll(config: Config, io: Io): Promise<Answer[]> {
  const ask = async (group: "sources" | "sinks", name: string, check: (context: CheckContext) => Promise<Finding[]>): Promise<Answer[]> => {
    const context = { name, host: config.host, doors: io.doors };
    const findings = await answerOf(io, () => check(context));
    return findings.map((finding) => ({ path: [group, name], finding }));
  };
  const sources = Object.entries(config.sources).map(([name, entry]) => ask("sources", name, (context) => entry.kind.check(entry.config, context)));
  const sinks = Object.entries(config.sinks).map(([name, entry]) => ask("sinks", name, (context) => entry.kind.check(entry.config, context)));
  return (await Promise.all([...sources, ...sinks])).flat();
}

async function answerOf(io: Io, check: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await withDeadline(io.doors.clock, checkMsMax, new AbortController().signal, check);
  } catch (cause) {
    const { code, hint } = cause instanceof Fault ? cause : { code: "check_failed", hint: undefined };
    return [{ ok: false, what: "ask it", code, message: describe(cause), ...(hint === undefined ? {} : { hint }) }];
  }
}

/** It works, and there is something to say all the same. */
function isAdvice({ ok, message }: Finding): boolean {
  return ok && message !== undefined;
}

function answersText(config: Config, answers: readonly Answer[], options: CheckOptions, paint: Paint): string {
  const sources = Object.keys(config.sources).length;
  const sinks = Object.keys(config.sinks).length;
  const head = `${options.config}: no mistakes; ${plural(sources, "source")}, ${plural(sinks, "sink")}\n`;
  if (options.offline === true) return head;
  const width = Math.max(...answers.map(({ path }) => path.join(".").length));
  const indent = " ".repeat(width + 4);
  const rows = answers.map(({ path, finding: { ok, what, code, message, hint } }) => {
    const advice = isAdvice({ ok, what, ...(message === undefined ? {} : { message }) });
    const row = `${advice ? paint.warn("!") : ok ? paint.good("✓") : paint.bad("✗")} ${path.join(".").padEnd(width)}  ${visible(what, 300)}\n`;
    if (ok && !advice) return row;
    const reason = `${indent}${code ?? "check_failed"}: ${visible(message ?? "", 300)}\n`;
    return hint === undefined || hint === "" ? `${row}${reason}` : `${row}${reason}${indent}${paint.dim("→")} ${visible(hint, 300)}\n`;
  });
  const failed = new Set(answers.filter(({ finding }) => !finding.ok).map(({ path }) => path.join(".")));
  const end = failed.size === 0 ? "all of them would work" : `${failed.size} of ${sources + sinks} would not work`;
  return `${head}${rows.join("")}${end}\n`;
}
