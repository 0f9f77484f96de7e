import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { schema } from "./config.ts";

const issues = (overrides: Record<string, unknown>): string[] => {
  const parsed = v.safeParse(schema, { type: "http", url: "https://ingest.example.com/v1/records", ...overrides });
  return parsed.success ? [] : parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
};

describe("configuration of the http sink", () => {
  test("takes what the documentation names", () => {
    expect(issues({ headers: { "X-Scope-OrgID": "team-a" }, bearer_token_file: "/t", tls: { ca_file: "/ca" }, timeout: "5s" })).toEqual([]);
    expect(v.parse(schema, { type: "http", url: "http://a/" })).toMatchObject({
      timeout: 60_000,
      codec: "zstd",
      batch: { bytes_max: 4 * 2 ** 20, age_max: 1000 },
    });
  });

  const wrong: [name: string, overrides: Record<string, unknown>, issue: string][] = [
    [
      "two kinds of credentials",
      { bearer_token_file: "/t", basic: { username: "u", password_file: "/p" } },
      "basic: must not be set together with bearer_token_file",
    ],
    ["an Authorization header beside a token", { bearer_token_file: "/t", headers: { authorization: "x" } }, "headers: must not hold Authorization"],
    ["a header of ours", { headers: { "Idempotency-Key": "x" } }, "is a header that logferry sets itself"],
    ["a header that would split the request", { headers: { "X-A": "b\r\nX-C: d" } }, "headers.X-A: must be one line"],
    ["a name that is no header", { headers: { "X A": "b" } }, "must be a header's name"],
    ["TLS files for a plain URL", { url: "http://a/", tls: { ca_file: "/ca" } }, "tls: needs a URL that begins with https://"],
    ["a certificate without its key", { tls: { cert_file: "/c" } }, "tls: cert_file and key_file must be set together"],
    ["credentials in the URL", { url: "https://u:p@a/" }, "url: must not hold a user or password"],
    ["a partition", { partition: "date=%Y" }, "partition: Invalid key"],
  ];
  for (const [name, overrides, issue] of wrong) {
    test(`refuses ${name}`, () => {
      expect(issues(overrides)).toEqual([expect.stringContaining(issue)]);
    });
  }
});
