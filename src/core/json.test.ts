import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { depthMax, JsonScan, type Span } from "./json.ts";

const scan = new JsonScan();
/** The text of a span of the last scan. */
let span: (of: Span) => string | undefined;

/** Scans with bytes before and after that would change the answer if they were looked at. */
function scanned(text: string): boolean {
  const before = new TextEncoder().encode('"\\{[,');
  const inner = new TextEncoder().encode(text);
  const after = new TextEncoder().encode('"}]},:1');
  const bytes = Uint8Array.from([...before, ...inner, ...after]);
  scan.use(bytes);
  const fine = scan.scan(before.length, before.length + inner.length);
  span = ({ start, end }) => (start < 0 ? undefined : new TextDecoder().decode(bytes.subarray(start, end)));
  return fine;
}
/** What JSON.parse says to the same: an object or not. */
function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** JSON as it is written, so that a key can stand in it twice. */
type Tree = { pairs: [string, Tree][] } | { items: Tree[] } | { text: string };

const { tree } = fc.letrec<{ tree: Tree; pairs: Tree }>((tie) => ({
  pairs: fc.record({
    pairs: fc.array(fc.tuple(fc.constantFrom("a", "A", "b", "timestamp", "É", "é", "ſ", "s", "", "k\n", "\u212a"), tie("tree")), { maxLength: 4 }),
  }),
  tree: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.json({ maxDepth: 0 }).map((text) => ({ text })),
    tie("pairs"),
    fc.record({ items: fc.array(tie("tree"), { maxLength: 3 }) }),
  ),
}));

function render(node: Tree, escape: boolean): string {
  if ("text" in node) return node.text;
  if ("items" in node) return `[ ${node.items.map((item) => render(item, escape)).join(" ,")}]`;
  const key = (name: string): string =>
    escape ? `"${Array.from(name, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"` : JSON.stringify(name);
  return `{${node.pairs.map(([name, value], index) => `${index % 2 === 0 ? key(name) : JSON.stringify(name)}\t: ${render(value, escape)}`).join(", ")} }`;
}

function hasTwice(node: Tree): boolean {
  if ("text" in node) return false;
  if ("items" in node) return node.items.some(hasTwice);
  const names = node.pairs.map(([name]) => name.toUpperCase().toLowerCase());
  return new Set(names).size < names.length || node.pairs.some(([, value]) => hasTwice(value));
}

test("objects: what JSON.parse takes is taken, with keys that are there twice found in any case and spelling", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom("a", "A", "x", "host"), tree), { maxLength: 4 }), fc.boolean(), (pairs, escape) => {
      const text = render({ pairs }, escape);
      expect(scanned(text)).toBe(true);
      expect(parsed(text)).toBeDefined();
      expect(scan.stumble).toBe(hasTwice({ pairs }) ? "duplicate_key" : "");
    }),
    { numRuns: 1000 },
  );
});

const pieces = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  " ",
  "\t",
  "\n",
  "0",
  "-",
  "1.5",
  "e",
  "E+",
  "true",
  "nul",
  "null",
  '"a"',
  '"b":',
  "\\u12",
  "\\ud83d\\ude9a",
  "é",
  "\u0001",
  ".",
];

test("broken text: taken exactly when JSON.parse takes it as an object", () => {
  const broken = fc.array(fc.constantFrom(...pieces), { maxLength: 12 }).map((parts) => parts.join(""));
  const bent = fc.tuple(fc.json(), fc.nat(), fc.constantFrom(...pieces, "")).map(([json, at, piece]) => {
    const cut = at % (json.length + 1);
    return `{"k":${json.slice(0, cut)}${piece}${json.slice(cut + 1)}}`;
  });
  fc.assert(
    fc.property(fc.oneof(broken, bent), (text) => {
      expect(scanned(text)).toBe(parsed(text) !== undefined);
      expect(scan.reason === "").toBe(parsed(text) !== undefined);
    }),
    { numRuns: 20_000 },
  );
});

test("numbers: taken exactly when JSON.parse takes them, and those beyond a double are found", () => {
  const number = fc.array(fc.constantFrom("-", "0", "1", "9", ".", "e", "E", "+"), { maxLength: 8 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(number, (text) => {
      expect(scanned(`{"n":${text}}`)).toBe(parsed(`{"n":${text}}`) !== undefined);
      if (scan.reason === "") expect(scan.stumble === "number").toBe(!Number.isFinite(Number(text)));
    }),
    { numRuns: 5000 },
  );
  expect(scanned('{"n":1e999}')).toBe(true);
  expect(scan.stumble).toBe("number");
  expect(scanned(`{"n":${"9".repeat(400)}}`)).toBe(true);
  expect(scan.stumble).toBe("number");
});

test.each([
  ['{"a":"\\ud800"}', "lone_surrogate"],
  ['{"a":"\\udc00\\ud800"}', "lone_surrogate"],
  ['{"a":"\\ud800\\u0041"}', "lone_surrogate"],
  ['{"\\ud800":1}', "lone_surrogate"],
  ['{"a":"\\ud83d\\ude9a"}', ""],
  ['{"a":{"Straße":1,"STRASSE":2}}', "duplicate_key"],
  ['{"a":1,"\\u0041":2}', "duplicate_key"],
  ['{"a":{"b":1},"c":{"b":1},"b":[{"b":1},{"b":1}]}', ""],
  ["{}", ""],
] as const)("%s: %p", (text, stumble) => {
  expect(scanned(text)).toBe(true);
  expect(scan.stumble).toBe(stumble);
});

test("objects with very many keys are searched too, and in a time that does not grow with the square", () => {
  const keys = Array.from({ length: 200_000 }, (_, index) => `"key${index}":${index}`);
  expect(scanned(`{${keys.join(",")}}`)).toBe(true);
  expect(scan.stumble).toBe("");
  expect(scanned(`{${keys.join(",")},"KEY7":1}`)).toBe(true);
  expect(scan.stumble).toBe("duplicate_key");
});

test("depth is bounded for readers, not for the scan", () => {
  const nested = (depth: number): string => `{"a":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
  expect(scanned(nested(depthMax))).toBe(true);
  expect(scan.stumble).toBe("");
  expect(scanned(nested(depthMax + 1))).toBe(true);
  expect(scan.stumble).toBe("depth");
  expect(scanned(nested(2_000_000))).toBe(true);
  expect(scanned(`{"a":${"[".repeat(2_000_000)}`)).toBe(false);
});

test("where the fields of a record lie, only those of the outermost object", () => {
  expect(scanned(' {"x":{"host":"no","labels":1}, "timestamp" : "t","host":"h\\"","labels": {"a":["b"]} ,"source":"s"} ')).toBe(true);
  expect(span(scan.timestamp)).toBe('"t"');
  expect(span(scan.host)).toBe('"h\\""');
  expect(span(scan.labels)).toBe('{"a":["b"]}');
  expect(span(scan.source)).toBe('"s"');
  expect(span(scan.object)?.startsWith('{"x"')).toBe(true);
  expect(scanned('{"timestampe":1,"sources":2}')).toBe(true);
  expect([scan.timestamp.start, scan.source.start]).toEqual([-1, -1]);
});

test.each([
  ["", "empty"],
  ["  \t ", "empty"],
  ["[1]", "not a JSON object"],
  ["hello", "not a JSON object"],
  ['{"a":1', "ends too early"],
  ['{"a":1}{"b":2}', "more than one JSON value"],
  ['{"a":1,}', "expected a key"],
  ["{'a':1}", "expected a key"],
  ['{"a" 1}', "expected :"],
  ['{"a":1]', "expected , or }"],
  ['{"a":[1}', "expected , or ]"],
  ['{"a":01}', "a number begins with 0"],
  ['{"a":NaN}', "expected a value"],
  ['{"a":"\\x"}', "unknown escape in a string"],
  ['{"a":"\t"}', "control character in a string"],
])("%j is refused: %s", (text, reason) => {
  expect(scanned(text)).toBe(false);
  expect(scan.reason).toBe(reason);
});
