import { expect, test } from "bun:test";
import { describe as words, excerpt, Fault } from "./fault.ts";

test("a fault's message ends with the cause in words people know", () => {
  const cause = Object.assign(new Error("ECONNREFUSED: Unable to connect. Is the computer able to access the url?"), { code: "ECONNREFUSED" });
  const fault = new Fault({ code: "s3_unreachable", retry: "later", message: "put object a", cause });
  expect(fault.message).toBe("put object a: connection refused");
  expect(fault.cause).toBe(cause);
  expect(words("text")).toBe("text");
});

test("an excerpt of foreign text is one bounded line without control characters", () => {
  expect(excerpt("  bad \u001b[31mline\u0000\r\n 7\t")).toBe("bad [31mline 7");
  expect(excerpt("x".repeat(10_000))).toHaveLength(300);
  expect(excerpt("x".repeat(10), 5)).toBe("xxxx…");
});
