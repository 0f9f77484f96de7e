/** Templates, the time of every zone, and values that would like to be elsewhere. */
import { describe, expect, test } from "bun:test";
import { assert as check, integer, property, string } from "fast-check";
import { testDelivery } from "../../test/support/sink.ts";
import { encodeValue, expander, parseTemplate, streamFields, zoneExists } from "./partition.ts";

const at = (iso: string): number => Date.parse(iso);
const mistakeOf = (template: string): string => {
  const parsed = parseTemplate(template);
  return "mistake" in parsed ? parsed.mistake : "";
};

describe("templates", () => {
  test("expand source, host, labels and time", () => {
    const expand = expander("s={source}/{host}/e={labels.env}-{labels.a.b/c}/d=%Y-%m-%d/h=%H", "UTC");
    expect(expand({ source: "nginx", host: "edge-1", labels: { env: "prod", "a.b/c": "x" } }, at("2026-01-02T03:44:59.9Z"))).toBe(
      "s=nginx/edge-1/e=prod-x/d=2026-01-02/h=03",
    );
  });

  test("a missing or empty value is what Hive reads as null, also a label that every object has by nature", () => {
    const expand = expander("{source}/{labels.env}/{labels.constructor}", "UTC");
    expect(expand({ source: "", labels: {} }, 0)).toBe("__HIVE_DEFAULT_PARTITION__/__HIVE_DEFAULT_PARTITION__/__HIVE_DEFAULT_PARTITION__");
  });

  const wrong: [template: string, says: string][] = [
    ["", "must not be empty"],
    ["{sorce}", "{sorce}"],
    ["{labels.}", "{labels.}"],
    ["{env}", "{labels.NAME}"],
    ["a{source", "{ without its partner"],
    ["a}b", "} without its partner"],
    ["hour=%H/minute=%M", "finer than an hour"],
    ["%H-%S", "finer than an hour"],
    ["%y", "%y"],
    ["100%", "%,"],
    ["/a", "begin or end with /"],
    ["a/", "begin or end with /"],
    ["a//b", "//"],
    ["a/../b", "dot"],
    [".a", "dot"],
    ["a\nb", "control characters"],
    ["a\\b", "backslashes"],
  ];
  test.each(wrong)("%p is a mistake of the configuration", (template, says) => expect(mistakeOf(template)).toContain(says));
});

describe("zones", () => {
  test.each([
    ["Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29 01"],
    ["Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29 03"],
    ["Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25 02"],
    ["Asia/Kathmandu", "2026-11-23T18:14:59Z", "2026-11-23 23"],
    ["Asia/Kathmandu", "2026-11-23T18:15:00Z", "2026-11-24 00"],
    ["Pacific/Chatham", "2026-11-23T10:15:00Z", "2026-11-24 00"],
    ["America/St_Johns", "2026-11-23T03:29:59Z", "2026-11-22 23"],
  ])("%s at %s is %s", (zone, time, wall) => expect(expander("%Y-%m-%d %H", zone)({}, at(time))).toBe(wall));

  test("every time of a quarter hour gives the same, in every zone of the database", () => {
    const expanders = Intl.supportedValuesOf("timeZone").map((zone) => expander("%Y%m%d%H", zone));
    check(
      property(integer({ min: at("2016-01-01T00:00:00Z"), max: at("2040-01-01T00:00:00Z") }), (ms) => {
        const quarter = Math.floor(ms / 900_000) * 900_000;
        for (const expand of expanders) expect(expand({}, quarter)).toBe(expand({}, quarter + 899_999));
      }),
      { numRuns: 5 },
    );
  });

  test("only names of the database are zones", () => {
    expect(["UTC", "Europe/Berlin", "Asia/Kolkata"].map(zoneExists)).toEqual([true, true, true]);
    expect(["", "Mars/Olympus", "+05:07", "Europe"].map(zoneExists)).toEqual([false, false, false, false]);
  });
});

describe("values", () => {
  test.each([
    ["a b/c=d", "a%20b%2Fc%3Dd"],
    ["..", "%2E."],
    [".", "%2E"],
    [".hidden", "%2Ehidden"],
    ["_tmp", "%5Ftmp"],
    ["%2E", "%252E"],
    ["ä\u0000\n", "%C3%A4%00%0A"],
    ["😀", "%F0%9F%98%80"],
    ["nginx-1.2_b", "nginx-1.2_b"],
  ])("%p is %s", (value, encoded) => expect(encodeValue(value, true)).toBe(encoded));

  test("whatever the value, it is one visible folder of a length a file system takes, and decodes to itself", () => {
    check(
      property(string({ unit: "binary", maxLength: 300 }), (value) => {
        const encoded = encodeValue(value, true);
        expect(encoded).toMatch(/^[A-Za-z0-9%_-][A-Za-z0-9_.%-]*$/);
        expect(encoded.startsWith("_")).toBe(value === "");
        expect(encoded.length).toBeLessThanOrEqual(160);
        if (value !== "" && !encoded.includes("%7E")) expect(decodeURIComponent(encoded)).toBe(value);
      }),
      { numRuns: 500 },
    );
  });

  test("long values are cut and still told apart", () => {
    const [one, other] = [encodeValue("ä".repeat(500), false), encodeValue(`${"ä".repeat(499)}b`, false)];
    expect(one).not.toBe(other);
    expect(decodeURIComponent(one).startsWith("ä".repeat(20))).toBe(true);
  });
});

test("the fields that make a stream are those of all templates, and `from` once somebody asks", () => {
  const by = (template: string) => ({ ...testDelivery, partition: { template, zone: "UTC" } });
  expect(streamFields([testDelivery])).toEqual({ from: false, source: false, host: false, labels: [] });
  expect(streamFields([by("{source}/{labels.env}"), by("{labels.env}{labels.app}"), { ...testDelivery, from: ["a"] }])).toEqual({
    from: true,
    source: true,
    host: false,
    labels: ["app", "env"],
  });
});
