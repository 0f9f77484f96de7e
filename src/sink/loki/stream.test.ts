/** Streams: labels by template, within what Loki takes, and what is left of a record for its metadata. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { schema } from "./config.ts";
import { type Placed, Streams } from "./stream.ts";
import type { Fields } from "./template.ts";

const place = (fields: Partial<Fields>, overrides: Record<string, unknown> = {}): Placed =>
  new Streams(v.parse(schema, { type: "loki", url: "http://a", ...overrides })).placeOf({ labels: {}, ...fields });
const issues = (overrides: Record<string, unknown>): string[] => {
  const parsed = v.safeParse(schema, { type: "loki", url: "https://a", ...overrides });
  return parsed.success ? [] : parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
};

describe("a stream", () => {
  test("has all labels of the record, host, source and file, when nothing is said", () => {
    const { stream, rest } = place({ host: "h", source: "s", file: "/f", labels: { env: "prod", "k8s.app": "a", "0": "z" } });
    expect(stream.text).toBe('{_0="z", env="prod", file="/f", host="h", k8s_app="a", source="s"}');
    // Names that had to be changed are told as they were.
    expect(rest).toEqual(["0", "z", "k8s.app", "a"]);
  });

  test("has exactly the labels that are named, from text and fields", () => {
    const { stream, rest } = place(
      { host: "h", source: "s", labels: { env: "prod" } },
      { labels: { job: "{source}-{labels.env}", gone: "{labels.x}" } },
    );
    expect(stream.labels).toEqual({ job: "s-prod" });
    expect(rest).toEqual(["host", "h"]);
  });

  test("has one label at least", () => {
    expect(place({ source: "s" }, { labels: { app: "{labels.app}" } }).stream.text).toBe('{source="s"}');
    expect(place({}, { labels: {} }).stream.text).toBe('{source="unknown"}');
  });

  test("is quoted so that Loki reads it", () => {
    expect(place({ source: 'a"\\\n\ud800' }, { labels: { s: "{source}" } }).stream.text).toBe('{s="a\\"\\\\\\n\ufffd"}');
  });

  test("keeps within the server's limits; what is too much is metadata", () => {
    const labels = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`l${String(at).padStart(2, "0")}`, "x"]));
    const many = place({ host: "h", source: "s", file: "/f", labels });
    expect(Object.keys(many.stream.labels)).toHaveLength(15);
    expect(many.rest.filter((_, at) => at % 2 === 0)).toEqual(["l12", "l13", "l14", "l15", "l16", "l17", "l18", "l19"]);
    const long = place({ labels: { a: `${"x".repeat(2047)}é` } }, { labels: { "*": "{labels}" } });
    expect([long.stream.labels["a"], long.rest]).toEqual(["x".repeat(2047), ["a", `${"x".repeat(2047)}é`]]);
  });
});

describe("configuration of the loki sink", () => {
  test("takes what the documentation names", () => {
    const labels = { "*": "{labels}", job: "a {source} {host} {file} {stream} {labels.a.b}" };
    expect(issues({ labels, tenant: "team-a", bearer_token_file: "/t", tls: { ca_file: "/ca" }, metadata: "own", encoding: "json" })).toEqual([]);
    expect(v.parse(schema, { type: "loki", url: "http://a" })).toMatchObject({
      batch: { bytes_max: 2 ** 20, age_max: 1000 },
      concurrency: 4,
      when_refused: "hold",
    });
  });

  const wrong: [name: string, overrides: Record<string, unknown>, issue: string][] = [
    ["a label's name that Loki refuses", { labels: { "bad-label": "x" } }, "labels.bad-label: must be letters, digits and _"],
    ["a label of Loki's own", { labels: { __name__: "x" } }, "labels.__name__: must not begin with __"],
    ["a field there is not", { labels: { a: "{lables.a}" } }, "labels.a: has {lables.a}, which is none of"],
    ["an open brace", { labels: { a: "{source" } }, "labels.a: has a { without its partner"],
    ["all labels under a name", { labels: { a: "{labels}" } }, 'labels: all labels of a record are written as "*": "{labels}"'],
    [
      "too many labels",
      { labels: Object.fromEntries(Array.from({ length: 16 }, (_, at) => [`l${at}`, "x"])) },
      "labels: must not be 16: a stream may have 15",
    ],
    ["several tenants", { tenant: "a|b" }, "tenant: must be the name of one tenant"],
    ["a codec, which is not for choice here", { codec: "gzip" }, "codec: Invalid key"],
    ["a push that is too large for memory", { batch: { bytes_max: "64MiB" } }, "batch: must not have a bytes_max above 32MiB"],
    ["two kinds of credentials", { bearer_token_file: "/t", basic: { username: "u", password_file: "/p" } }, "basic: must not be set together"],
    ["TLS files for a plain URL", { url: "http://a/", tls: { ca_file: "/ca" } }, "tls: needs a URL that begins with https://"],
  ];
  for (const [name, overrides, issue] of wrong) {
    test(`refuses ${name}`, () => {
      expect(issues(overrides)).toEqual([expect.stringContaining(issue)]);
    });
  }
});
