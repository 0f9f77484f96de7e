import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { schema } from "./config.ts";

const issues = (overrides: Record<string, unknown>): string[] => {
  const parsed = v.safeParse(schema, { type: "s3", bucket: "logs", ...overrides });
  return parsed.success ? [] : parsed.issues.map((issue) => `${v.getDotPath(issue)}: ${issue.message}`);
};

describe("configuration of the s3 sink", () => {
  test("needs a bucket only", () => {
    expect(v.parse(schema, { type: "s3", bucket: "logs" })).toMatchObject({
      prefix: "",
      partition: "date=%Y-%m-%d/hour=%H",
      zone: "UTC",
      part_bytes: 8 * 2 ** 20,
      path_style: false,
      codec: "zstd",
      batch: { bytes_max: 32 * 2 ** 20, age_max: 300_000 },
    });
    expect(
      issues({ bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/logs", sse: "aws:kms", sse_kms_key_id: "k", tags: { team: "a" } }),
    ).toEqual([]);
  });

  const wrong: [name: string, overrides: Record<string, unknown>, issue: string][] = [
    ["a URL as bucket", { bucket: "s3://logs/raw" }, "bucket: must be the name of a bucket"],
    ["parts that S3 refuses", { part_bytes: "1MiB" }, "part_bytes: must be at least 5MiB"],
    ["one of the two key files", { access_key_id_file: "/id" }, "secret_access_key_file: must be set together"],
    ["a key for encryption without keys", { sse: "AES256", sse_kms_key_id: "k" }, "sse_kms_key_id: needs sse: aws:kms"],
    ["eleven tags", { tags: Object.fromEntries(Array.from({ length: 11 }, (_, index) => [`t${index}`, "v"])) }, "tags: must be at most ten tags"],
    ["a prefix that climbs", { prefix: "../other/" }, "prefix: must not hold . or .. as a folder"],
  ];
  for (const [name, overrides, issue] of wrong) {
    test(`refuses ${name}`, () => {
      expect(issues(overrides)).toEqual([expect.stringContaining(issue)]);
    });
  }
});
