/** As much LogQL as the fake needs: a selector, line filters, `| json`, `| drop`, and `sum by (…) (count_over_time(… [1m]))`; errors in Loki's words. */

export type Labels = Readonly<Record<string, string>>;

export interface LogQuery {
  readonly matches: (labels: Labels) => boolean;
  /** False when a line filter leaves it out. */
  readonly keeps: (line: string) => boolean;
  /** It has `| json`, and takes off what that says of errors. */
  readonly parses: boolean;
  readonly drops: boolean;
}

export interface CountQuery {
  readonly by: readonly string[];
  readonly log: LogQuery;
  readonly rangeSeconds: number;
}

export class QueryError extends Error {}

const matcher = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*/;

/** A log query. Throws QueryError with what Loki answers. */
export function parseLog(text: string): LogQuery {
  if (text.trim() === "") throw new QueryError("parse error : syntax error: unexpected $end");
  if (!text.trimStart().startsWith("{")) throw new QueryError("only log selector is supported");
  const tests: ((labels: Labels) => boolean)[] = [];
  let bound = false;
  let rest = text.trimStart().slice(1);
  while (!rest.startsWith("}")) {
    const found = matcher.exec(rest);
    if (found === null) throw new QueryError(`parse error at line 1, col ${text.length - rest.length + 1}: syntax error: unexpected character`);
    const [whole, name = "", operator = "", quoted = ""] = found;
    const value = unquote(quoted);
    bound ||= operator === "=" ? value !== "" : operator === "=~" && !new RegExp(`^(?:${value})$`, "s").test("");
    tests.push(testOf(name, operator, value));
    rest = rest.slice(whole.length);
    if (rest === "") throw new QueryError(`parse error at line 1, col ${text.length + 1}: syntax error: unexpected $end, expecting } or ,`);
    if (rest.startsWith(",")) rest = rest.slice(1).trimStart();
  }
  if (!bound) {
    throw new QueryError(
      'parse error : queries require at least one regexp or equality matcher that does not have an empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will',
    );
  }
  const { filters, parses, drops } = stagesOf(rest.slice(1));
  return { matches: (labels) => tests.every((test) => test(labels)), keeps: (line) => filters.every((filter) => filter(line)), parses, drops };
}

/** `sum by (A, B) (count_over_time(LOG[RANGE]))`; undefined for anything else. */
export function parseCount(text: string): CountQuery | undefined {
  const found = /^sum(?: by \(([^)]*)\) )?\(count_over_time\((.*)\[(\d+)(s|m)\]\)\)$/s.exec(text);
  if (found === null) return undefined;
  const by = (found[1] ?? "").split(",").map((name) => name.trim());
  return { by: by.filter((name) => name !== ""), log: parseLog(found[2] ?? ""), rangeSeconds: Number(found[3]) * (found[4] === "m" ? 60 : 1) };
}

function testOf(name: string, operator: string, value: string): (labels: Labels) => boolean {
  const pattern = operator.endsWith("~") ? new RegExp(`^(?:${value})$`, "s") : undefined;
  const wanted = !operator.startsWith("!");
  return (labels) => (pattern === undefined ? (labels[name] ?? "") === value : pattern.test(labels[name] ?? "")) === wanted;
}

function stagesOf(text: string): { filters: ((line: string) => boolean)[]; parses: boolean; drops: boolean } {
  const filters: ((line: string) => boolean)[] = [];
  let parses = false;
  let drops = false;
  for (let rest = text.trim(); rest !== "";) {
    const found = /^(?:(\|=|!=|\|~|!~)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)|\|\s*(json|drop __error__, __error_details__))\s*/.exec(rest);
    if (found === null) throw new QueryError(`parse error : syntax error: unexpected ${rest.slice(0, 10)}`);
    const [whole, operator = "", quoted = "", stage] = found;
    if (stage === undefined) filters.push(filterOf(operator, unquote(quoted)));
    else if (stage === "json") parses = true;
    else drops = true;
    rest = rest.slice(whole.length);
  }
  return { filters, parses, drops };
}

function filterOf(operator: string, value: string): (line: string) => boolean {
  const pattern = operator.endsWith("~") ? new RegExp(value) : undefined;
  const wanted = operator.startsWith("|");
  return (line) => (pattern === undefined ? line.includes(value) : pattern.test(line)) === wanted;
}

function unquote(quoted: string): string {
  return quoted.startsWith("`") ? quoted.slice(1, -1) : String(JSON.parse(quoted));
}
