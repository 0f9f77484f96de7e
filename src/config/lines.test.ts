/** What is said of formats, times and patterns: the line, the path and the reason; and what comes out when all is well. */
import { expect, test } from "bun:test";
import { sinkKinds } from "../sink/registry.ts";
import { sourceKinds } from "../source/registry.ts";
import { parseConfig } from "./config.ts";
import { mistakeText } from "./mistake.ts";

const kinds = { sources: Object.values(sourceKinds), sinks: Object.values(sinkKinds) };

function load(keys: string): string[] | Record<string, unknown> {
  const content = `sources:\n  app: { type: file, include: [/x], ${keys} }\nsinks:\n  a: { type: directory, dir: /y }\n`;
  const loaded = parseConfig(content, "l.yaml", {}, "edge-1", kinds);
  if ("mistakes" in loaded) return loaded.mistakes.map((mistake) => mistakeText(mistake));
  return loaded.config.sources["app"]?.config as Record<string, unknown>;
}

test("a preset and a time by their names are short for a map", () => {
  expect(load("multiline: java, timestamp: syslog")).toMatchObject({
    format: "plain",
    data_as: "object",
    timestamp: { format: "syslog" },
    multiline: { preset: "java", lines_max: 1000, bytes_max: 2 ** 20, timeout: 2000 },
  });
  const given = "multiline: { start: '^\\d', timeout: 500ms }, format: json, timestamp: { format: '%d.%m.%Y %T', key: t, zone: Europe/Berlin }";
  expect(load(given)).toMatchObject({ multiline: { start: "^\\d", timeout: 500 }, timestamp: { key: "t", zone: "Europe/Berlin" } });
});

test("wrong ones are told with their path and why", () => {
  const at = "l.yaml:2: sources.app";
  expect(load("multiline: { start: '(a' }")).toEqual([
    expect.stringContaining(`${at}.multiline.start: must be a regular expression, not "(a": missing )`),
  ]);
  expect(load("multiline: { start: a, preset: go }")).toEqual([expect.stringContaining("must have either preset or patterns")]);
  expect(load("multiline: { lines_max: 5 }")).toEqual([expect.stringContaining("must have either preset or patterns")]);
  expect(load("multiline: jva")).toEqual([expect.stringContaining(`${at}.multiline: must be one of java, python, go, ruby, node`)]);
  expect(load("timestamp: rfc333")).toEqual([expect.stringContaining(`${at}.timestamp: is neither the name of a format nor a pattern`)]);
  expect(load("timestamp: { format: '%H:%M %Q' }")).toEqual([expect.stringContaining(`${at}.timestamp.format: has %Q, which is none of %Y`)]);
  expect(load("timestamp: { format: '%H:%M' }")).toEqual([expect.stringContaining("names no day")]);
  expect(load("timestamp: { format: clf, zone: Berlin }")).toEqual([expect.stringContaining(`${at}.timestamp.zone: must be a time zone`)]);
  expect(load("timestamp: { format: clf, key: t }")).toEqual([expect.stringContaining(`${at}.timestamp: must not have a key unless format is json`)]);
  expect(load("format: jsn")).toEqual([expect.stringContaining(`${at}.format: must be plain, json, cri, docker, logfmt`)]);
});
