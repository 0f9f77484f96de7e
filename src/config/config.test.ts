/** A right file becomes a configuration; in a wrong one every mistake is told once, with its line, and nothing that follows from it. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import type { SinkKind, SourceKind } from "../core/contract.ts";
import { count, duration, flag, size, text } from "../core/values.ts";
import { parseConfig, type Config } from "./config.ts";
import { mistakeText, type Mistake } from "./mistake.ts";

const unused = (): never => {
  throw new Error("not part of reading a configuration");
};
const file: SourceKind = {
  type: "file",
  schema: v.strictObject({
    type: v.literal("file"),
    labels: v.optional(v.record(v.string(), v.string()), {}),
    include: v.pipe(v.array(text()), v.minLength(1, "must name at least one file"), v.description("Files to read.")),
    start: v.optional(v.picklist(["begin", "end"]), "begin"),
    line_bytes_max: v.optional(size(), "1MiB"),
  }),
  open: unused,
  check: unused,
};
const http: SourceKind = {
  type: "http",
  schema: v.strictObject({ type: v.literal("http"), listen: v.object({ host: v.string(), port: v.number() }) }),
  open: unused,
  check: unused,
};
const stdin: SourceKind = { type: "stdin", schema: v.strictObject({ type: v.literal("stdin") }), open: unused, check: unused };
const common = {
  from: v.optional(v.array(text())),
  concurrency: v.optional(count(1, 64), 4),
  batch: v.optional(v.strictObject({ bytes_max: v.optional(size(), "1MiB"), age_max: v.optional(duration(), "1m") }), {}),
};
const s3: SinkKind = {
  type: "s3",
  schema: v.pipe(
    v.strictObject({
      type: v.literal("s3"),
      ...common,
      bucket: text(),
      prefix: v.optional(v.string(), ""),
      path_style: v.optional(flag(), false),
      endpoint: v.optional(text()),
      tags: v.optional(v.union([v.record(v.string(), text()), v.array(v.strictObject({ key: text(), value: text() }))])),
      least: v.optional(size(), "0"),
      most: v.optional(size(), "1GiB"),
    }),
    v.forward(
      v.check(({ least, most }) => least <= most, "must be at most most"),
      ["least"],
    ),
  ),
  delivery: unused,
  open: unused,
  check: unused,
};
const directory: SinkKind = {
  type: "directory",
  schema: v.strictObject({ type: v.literal("directory"), ...common, dir: text(), prefix: v.optional(v.string(), "") }),
  delivery: unused,
  open: unused,
  check: unused,
};
const kinds = { sources: [file, http, stdin], sinks: [s3, directory] };

function mistakesOf(content: string, environment: Record<string, string> = {}, name = "l.yaml"): Mistake[] {
  const loaded = parseConfig(content, name, environment, "edge-1", kinds);
  return "mistakes" in loaded ? loaded.mistakes : [];
}
function configOf(content: string, environment: Record<string, string> = {}, name = "l.yaml"): Config {
  const loaded = parseConfig(content, name, environment, "edge-1", kinds);
  if ("config" in loaded) return loaded.config;
  throw new Error(loaded.mistakes.map(mistakeText).join("\n"));
}
/** `line path: message — hint` of each. */
const said = (content: string, environment: Record<string, string> = {}, name = "l.yaml"): string[] =>
  mistakesOf(content, environment, name).map((mistake) => mistakeText(mistake).replace(`${name}:`, ""));
/** What `lines` below a right configuration's head gives. */
const right = `sources:
  app: { type: file, include: [/var/log/app.log] }
sinks:
  lake: { type: directory, dir: /data }
`;

describe("a right file", () => {
  test("has defaults, units and the machine's name", () => {
    const config = configOf(right);
    expect(config.host).toBe("edge-1");
    expect(config.drain_timeout).toBe(30_000);
    expect(config.health.stalled_after).toBe(120_000);
    expect(config.log).toEqual({ level: "info", format: "json" });
    expect(config.spool.max_bytes).toBe(2 * 2 ** 30);
    expect(config.sources["app"]?.kind).toBe(file);
    expect(config.sources["app"]?.config).toMatchObject({ include: ["/var/log/app.log"], line_bytes_max: 1024 * 1024 });
    expect(config.sinks["lake"]?.config).toMatchObject({ dir: "/data", batch: { age_max: 60_000 } });
  });

  test("may be JSON, tabs and all", () => {
    const json = JSON.stringify({ host: "a", sources: { app: { type: "stdin" } }, sinks: { lake: { type: "directory", dir: "/d" } } }, null, "\t");
    expect(configOf(json, {}, "l.json").host).toBe("a");
  });

  test("may use aliases for values", () => {
    const config = configOf(`${right}  copy: { type: directory, dir: /b, from: &all [app] }\n  third: { type: directory, dir: /c, from: *all }\n`);
    expect(config.sinks["third"]?.config).toMatchObject({ from: ["app"] });
  });
});

test("five mistakes are five messages, each with its line", () => {
  const content = `spool:
  max_bytes: 64 parsecs
sources:
  app:
    type: file
    includ: [/var/log/app.log]
  web:
    type: fil
sinks:
  lake:
    type: s3
    from: [app, wbe]
  disk:
    type: directory
    dir: /data
    batch:
      age_max: 5m
`;
  expect(said(content)).toEqual([
    '2: spool.max_bytes: must be a size such as 512KiB or 2GiB, not "64 parsecs"',
    "6: sources.app.includ: unknown key `includ` — did you mean `include`?",
    "8: sources.web.type: unknown source type `fil`: there are file, http and stdin — did you mean `file`?",
    "10: sinks.lake.bucket: is missing",
    "12: sinks.lake.from[1]: there is no source `wbe` — did you mean `web`?",
  ]);
});

describe("keys", () => {
  test("several unknown ones in one map are all told, with what is there when nothing is near", () => {
    expect(said(`${right}spool: { dirr: /x, zzz: 1, levl: 2 }\n`)).toEqual([
      "5: spool.dirr: unknown key `dirr` — did you mean `dir`?",
      "5: spool.zzz: unknown key `zzz` — keys here: dir, max_bytes, when_full, min_free_bytes, commit_interval, segment_bytes, retain, level",
      "5: spool.levl: unknown key `levl` — did you mean `level`?",
    ]);
  });

  test("an unknown one at the top", () => {
    expect(said(right.replace("sinks:", "sink:"))).toEqual(["3: sink: unknown key `sink` — did you mean `sinks`?"]);
  });

  test("one that a later version brings is said to be that", () => {
    expect(said(right.replace("include:", "steps: x, include:"))).toEqual([
      "2: sources.app.steps: `steps` is not in this version yet — take it out for now; CHANGELOG.md says when it comes",
    ]);
  });

  test("a missing one points at its component and says what it means", () => {
    expect(said(right.replace(", include: [/var/log/app.log]", ""))).toEqual(["2: sources.app.include: is missing — Files to read."]);
  });

  test("one that stands twice", () => {
    expect(said(`${right}host: a\nhost: b\n`)).toEqual(["6: host: the key `host` stands here again; it is on line 5 already — keep one of them"]);
  });

  test("one that is not text", () => {
    expect(mistakesOf(`${right}1: a\n`)[0]).toMatchObject({ code: "config_key_not_text", line: 5 });
    expect(mistakesOf(`${right}? [a]\n: b\n`)[0]).toMatchObject({ code: "config_key_not_text", line: 5 });
  });

  test("called like a member of every object is unknown like any other", () => {
    expect(said(`${right}constructor: a\n__proto__: b\n`).map((line) => line.slice(0, 29))).toEqual([
      "5: constructor: unknown key `",
      "6: __proto__: unknown key `__",
    ]);
  });
});

describe("values", () => {
  test("of the wrong sort say what they must be, once", () => {
    const content = `host: [a]
drain_timeout: soon
log: { level: wran, format: 3 }
health: 2m
sources:
  app: { type: file, include: /var/log, labels: [a] }
  web: { type: file, include: [a, 3] }
sinks:
  lake: { type: directory, dir: 7 }
`;
    expect(said(content)).toEqual([
      "1: host: must be a single value, not a list",
      '2: drain_timeout: must be a duration such as 250ms, 30s or 1h5m, not "soon"',
      '3: log.level: must be debug, info, warn or error, not "wran" — did you mean `warn`?',
      "3: log.format: must be json or text, not 3",
      '4: health: must be a map of keys, not "2m"',
      '6: sources.app.include: must be a list, not "/var/log"',
      "6: sources.app.labels: must be a map of keys, not a list",
      "7: sources.web.include[1]: must be text, not 3",
      "9: sinks.lake.dir: must be text, not 7",
    ]);
  });

  test("left empty are told, also whole parts", () => {
    expect(said(`spool:\nsources:\n  app:\nsinks:\n  lake: { type: directory, dir: }\n`)).toEqual([
      "1: spool: has no value — give it one, or take the line out",
      "3: sources.app: has no value — begin with `type:`, which is file, http or stdin",
      "5: sinks.lake.dir: has no value — give it one, or take the line out",
    ]);
  });

  test("of an alternative speak of the alternative that was meant", () => {
    const lake = (tags: string): string[] => said(right.replace("directory, dir: /data", `s3, bucket: b, tags: ${tags}`));
    expect(lake("{ a: '' }")).toEqual(["4: sinks.lake.tags.a: must not be empty"]);
    expect(lake("[{ key: a }]")).toEqual(["4: sinks.lake.tags[0].value: is missing"]);
  });

  test("that do not go together are told beside other mistakes, but not when one of them is the mistake", () => {
    const lake = (keys: string): string[] => said(right.replace("directory, dir: /data", `s3, ${keys}`));
    expect(lake("bucket: b, least: 2GiB, path_style: maybe")).toEqual(
      ['4: sinks.lake.path_style: must be true or false, not "maybe"', "4: sinks.lake.least: must be at most most"].toSorted(),
    );
    expect(lake("bucket: b, least: 2GiB, most: much")).toEqual(['4: sinks.lake.most: must be a size such as 512KiB or 2GiB, not "much"']);
    expect(said(`${right}spool: { max_bytes: 64MiB, segment_bytes: 16MiB }`)).toEqual([
      "5: spool.segment_bytes: must be at most an eighth of max_bytes",
    ]);
  });
});

describe("components", () => {
  test("must be there", () => {
    expect(mistakesOf("host: a\n").map(({ path, code }) => `${path} ${code}`)).toEqual(["sources config_missing_key", "sinks config_missing_key"]);
    expect(mistakesOf("sources: {}\nsinks:\n").map(({ line, path, message }) => `${line} ${path} ${message}`)).toEqual([
      "1 sources is empty",
      "2 sinks is empty",
    ]);
  });

  test("need a type that exists and a plain name", () => {
    expect(said(right.replace("type: file, ", ""))).toEqual(["2: sources.app.type: is missing — types of sources: file, http, stdin"]);
    expect(mistakesOf(right.replace("app:", "App.1:"))[0]).toMatchObject({ code: "config_name", line: 2 });
    expect(said(right.replace("type: directory", "type: kafka"))).toEqual([
      "4: sinks.lake.type: unknown sink type `kafka`: there are s3 and directory",
    ]);
  });

  test("may not share a place", () => {
    const shared = `${right}  a: { type: s3, bucket: b, prefix: raw/ }\n  b: { type: s3, bucket: b, prefix: raw/ }\n  c: { type: directory, dir: /x/../data }\n  d: { type: s3, bucket: b, prefix: raw/, endpoint: "http://127.0.0.1:1" }\n`;
    expect(said(shared)).toEqual([
      "6: sinks.b: writes to the same bucket and prefix as the sink `a` — give one of them another `prefix`",
      "7: sinks.c: writes to the same dir and prefix as the sink `lake` — give one of them another `prefix`",
    ]);
    const ports = right.replace("sources:", "sources:\n  in: { type: http, listen: { host: 0.0.0.0, port: 8470 } }");
    expect(said(ports)).toEqual(["1: control.listen: listens on port 8470, and so does `sources.in.listen` — give one of them another port"]);
    expect(said(right.replace("sources:", "sources:\n  a: { type: stdin }\n  b: { type: stdin }"))[0]).toStartWith(
      "3: sources.b: reads standard input",
    );
  });
});

describe("variables", () => {
  test("go into values of any sort", () => {
    const config = configOf(right.replace("dir: /data", 'dir: "${ROOT}/x", concurrency: "${N}", prefix: "${P:-raw/}"') + "host: ${H}\n", {
      ROOT: "/r",
      N: "7",
      H: "12345",
    });
    expect(config.host).toBe("12345");
    expect(config.sinks["lake"]?.config).toMatchObject({ dir: "/r/x", concurrency: 7, prefix: "raw/" });
  });

  test("that are missing are told with their line, and nothing follows from them", () => {
    expect(said(right.replace("include: [/var/log/app.log]", 'include: ["${A}"]').replace("type: directory", 'type: "${B}"'))).toEqual([
      "2: sources.app.include[0]: the environment variable A is not set — set it, or give a default: ${A:-…}; a literal ${ is written $${",
      "4: sinks.lake.type: the environment variable B is not set — set it, or give a default: ${B:-…}; a literal ${ is written $${",
    ]);
  });

  test("never show what was in them", () => {
    const mistakes = mistakesOf(
      right.replace("dir: /data", 'dir: /data, batch: "${SECRET}", concurrency: "${SECRET}"') + "drain_timeout: ${SECRET}\n",
      { SECRET: "hunter2" },
    );
    expect(mistakes).toHaveLength(3);
    expect(JSON.stringify(mistakes)).not.toContain("hunter2");
  });

  test("escaped or broken", () => {
    expect(configOf(`${right}host: a$\${B}$C\n`).host).toBe("a${B}$C");
    expect(mistakesOf(`${right}host: a\${B\n`)[0]).toMatchObject({ code: "config_variable_syntax", line: 5 });
    expect(mistakesOf(`${right}host: "\${a-b}"\n`)[0]).toMatchObject({ code: "config_variable_syntax", line: 5 });
  });

  test("in a text of several lines have their own line", () => {
    expect(mistakesOf(`${right}host: |\n  a\n  \${NOPE}\n`)[0]).toMatchObject({ code: "config_variable_missing", line: 7 });
  });

  test("cannot add structure", () => {
    expect(configOf(`${right}host: \${H}\n`, { H: "a\nlog: { level: debug }" })).toMatchObject({
      host: "a\nlog: { level: debug }",
      log: { level: "info" },
    });
  });
});

describe("a file that is no configuration", () => {
  const code = (content: string, name = "l.yaml"): string[] => mistakesOf(content, {}, name).map((mistake) => `${mistake.code} ${mistake.line}`);
  test("empty, or not a map", () => {
    expect(code("")).toEqual(["config_empty 0"]);
    expect(code("# nothing but a comment\n")).toEqual(["config_empty 0"]);
    expect(code("", "l.json")).toEqual(["config_empty 0"]);
    expect(code("- a\n")).toEqual(["config_value 0"]);
  });

  test("broken syntax is one mistake, at its line", () => {
    expect(code("a: 1\n  b: 2\n")).toEqual(["config_syntax 1"]);
    expect(said(`sources:\n\tapp: 1\n`)[0]).toEndWith("— indent with spaces");
    expect(said(`sinks:\n  a: { dir: \${X}, prefix: b }\n`)[0]).toContain("put quotes around a value with ${…}");
    expect(code("---\na: 1\n---\nb: 2\n")).toEqual(["config_syntax 3"]);
  });

  test("YAML in a file called JSON", () => {
    expect(code("host: a\n", "l.json")).toEqual(["config_syntax 1"]);
    expect(code('{\n  "host": "a",\n  "log": { level: "info" }\n}', "l.json")).toEqual(["config_syntax 3"]);
    expect(code('{\n  "host": "a",\n}', "l.json")).toEqual(["config_syntax 1"]);
  });

  test("aliases that unfold without end, nesting without end, tags, merge keys, loose aliases", () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh".replaceAll(/./g, (name) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${String.fromCharCode(name.charCodeAt(0) - 1)}`).join(",")}]\n`)}`;
    expect(code(bomb)[0]).toStartWith("config_too_large");
    expect(code("a: &a [*a]\n")[0]).toStartWith("config_too_large");
    expect(code(`a: ${"[".repeat(100)}${"]".repeat(100)}\n`)).toEqual(["config_too_large 1"]);
    expect(code(`${right}host: !!binary aGk=\n`)).toEqual(["config_tag 5"]);
    expect(code(`${right}host: *nope\n`)).toEqual(["config_alias 5"]);
    expect(code(`${right}<<: { host: a }\n`)).toEqual(["config_alias 5"]);
  });
});
