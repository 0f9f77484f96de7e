import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { schema } from "./config.ts";

const least = { type: "loki", url: "https://loki.example.com", query: '{app="web"}' };

function issues(given: object): string[] {
  return (v.safeParse(schema, { ...least, ...given }).issues ?? []).map(
    ({ message, path }) => `${path?.map(({ key }) => key).join(".")}: ${message}`,
  );
}

describe("configuration", () => {
  test("has defaults that keep what Loki promises itself", () => {
    expect(v.parse(schema, least)).toMatchObject({ start: "now", lateness: 3_900_000, settle: 10_000, sweep_interval: 20_000, mode: "tail" });
  });

  test("takes now, oldest, a duration and a time as start", () => {
    const starts = ["now", "oldest", "24h", "2026-11-23T00:00:00.000000001Z"].map((start) => v.parse(schema, { ...least, start }).start);
    expect(starts).toEqual(["now", "oldest", { agoMs: 86_400_000 }, { ns: 1_795_392_000_000_000_001n }]);
  });

  test.each([
    [{ start: "yesterday" }, 'start: must be now, oldest, a duration back such as 24h, or a time such as 2026-11-23T00:00:00Z, not "yesterday"'],
    [{ tenant: "a|b" }, "tenant: must be the name of one tenant: Loki does not tail several"],
    [{ url: "http://loki", tls: { ca_file: "/ca.pem" } }, "tls: needs a URL that begins with https://"],
    [{ lateness: "10s" }, "lateness: must be at least 1m"],
    [{ mode: "push" }, "mode: must be tail or poll"],
  ])("says what is wrong with %j", (given, said) => {
    expect(issues(given)).toEqual([said]);
  });
});
