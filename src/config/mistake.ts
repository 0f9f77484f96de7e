/**
 * A mistake in the configuration: an expected outcome, therefore a value and never a throw.
 *
 * All mistakes of a file are collected and shown at once, one line each: `file:line: path: message — hint`.
 */

/** Keys and list indexes from the top: `["sources", "nginx", "include", 0]`. */
export type Path = readonly (string | number)[];

/** One mistake. Lines and columns count from 1; line 0 = the file as a whole. `code` is stable, `hint` may be empty. */
export interface Mistake {
  file: string;
  line: number;
  column: number;
  path: string;
  code: string;
  message: string;
  hint: string;
}

/** A mistake before its place in the file is looked up. `spot` is given where the path alone does not tell it. */
export interface Finding {
  path: Path;
  code: string;
  message: string;
  hint?: string;
  spot?: Spot;
}

/** A place in the file, counted from 1. */
export interface Spot {
  line: number;
  column: number;
}

/** `sources.nginx.include[0]`; a key that is more than a word is quoted: `labels["a.b"]`. Different paths have different texts. */
export function pathText(path: Path): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (!/^[A-Za-z0-9_-]+$/.test(part)) text += `[${JSON.stringify(part)}]`;
    else text += text === "" ? part : `.${part}`;
  }
  return text;
}

/** The mistake as people read it, one line. */
export function mistakeText(mistake: Mistake): string {
  const place = mistake.line > 0 ? `${mistake.file}:${mistake.line}` : mistake.file;
  const path = mistake.path === "" ? "" : `${mistake.path}: `;
  return `${place}: ${path}${mistake.message}${mistake.hint === "" ? "" : ` — ${mistake.hint}`}`;
}
