/** What no file of the repository may hold, links that lead nowhere, and the length of AGENTS.md. */
import { dirname, join, normalize } from "node:path";
import { type Lockfile, missingEntries } from "../../tool/lockfile.ts";
import { type Violation, lineOf } from "./source.ts";

const agentsLinesMax = 80;

/** Put together from parts, so that this file does not hold what it looks for. */
const places = [
  {
    pattern: /(?<![\w.])\/(?:work\/(?:main|shared|\.\w+)|root|tmp)\//g,
    what: "a path of some machine",
    instead: "a path relative to the checkout, scratch() in tests",
  },
  {
    pattern: new RegExp(
      ["registry\\.(?:npmjs|yarnpkg)", "proxy\\.golang", "npmmirror", "jsr\\.io/@", "artifactory", "files\\.pythonhosted"].join("|"),
      "gi",
    ),
    what: "a registry's address",
    instead: "the client's own setting",
  },
];

export function checkPlaces(path: string, text: string): Violation[] {
  return places.flatMap(({ pattern, what, instead }) =>
    [...text.matchAll(pattern)].map((match) => ({ path, line: lineOf(text, match.index), message: `${what} (${match[0]}): write ${instead}` })),
  );
}

/** The lockfile names versions and digests; where packages come from is the business of whoever installs. And it is whole. */
export function checkLockfile(path: string, text: string): Violation[] {
  const address = /"resolved"\s*:|https?:\/\/[^"]*\.tgz/.exec(text);
  const found: Violation[] = [];
  if (address !== null) {
    const instead = "npm install --package-lock-only with the checkout's .npmrc";
    found.push({ path, line: lineOf(text, address.index), message: `the lockfile holds an address: make it anew by ${instead}` });
  }
  const missing = missingEntries(JSON.parse(text) as Lockfile).length;
  if (missing > 0)
    found.push({ path, line: 1, message: `the lockfile lacks ${missing} packages of other platforms, npm ci refuses it: run bun tool/lockfile.ts` });
  return found;
}

/** Relative links of a Markdown file, against the files that are there. Code is no link. */
export function checkLinks(path: string, text: string, files: ReadonlySet<string>): Violation[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, (code) => code.replaceAll(/[^\n]/g, " "));
  const found: Violation[] = [];
  for (const match of prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)/gm)) {
    const link = match[1] ?? match[2] ?? "";
    if (/^(?:[a-z]+:|#|\/\/)/.test(link)) continue;
    const target = normalize(join(dirname(path), decodeURIComponent(link.split("#")[0] ?? ""))).replace(/\/$/, "");
    const there = files.has(target) || target === "." || [...files].some((file) => file.startsWith(`${target}/`));
    if (!there) found.push({ path, line: lineOf(text, match.index), message: `the link ${link} leads nowhere: mend it or add the file` });
  }
  return found;
}

/** AGENTS.md is read whole at every start: what does not fit belongs into the document it points to. */
export function checkAgents(path: string, text: string): Violation[] {
  const lines = text.trimEnd().split("\n").length;
  return lines < agentsLinesMax
    ? []
    : [{ path, line: agentsLinesMax, message: `${lines} lines, under ${agentsLinesMax} wanted: move the rest into a document it links to` }];
}
