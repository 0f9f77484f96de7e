/** The control API's configuration: its defaults, and the one mistake that would open it to a network. */
import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { controlSchema, isLoopback } from "./config.ts";

function mistakes(input: unknown): string[] {
  const result = v.safeParse(controlSchema, input);
  return result.success ? [] : result.issues.map((issue) => `${v.getDotPath(issue) ?? ""}: ${issue.message}`);
}

describe("controlSchema", () => {
  test("listens on this machine alone by default", () => {
    expect(v.parse(controlSchema, {})).toEqual({ listen: { host: "127.0.0.1", port: 8470 } });
  });

  test("takes socket and token file as they are", () => {
    expect(v.parse(controlSchema, { listen: "[::1]:0", socket: "/run/logferry.sock", token_file: "/run/secrets/control" })).toEqual({
      listen: { host: "::1", port: 0 },
      socket: "/run/logferry.sock",
      token_file: "/run/secrets/control",
    });
  });

  test.each(["0.0.0.0:8470", ":8470", "[::]:8470", "192.0.2.7:8470", "edge-1.example.com:8470", "127.0.0.1.example.com:80"])(
    "refuses to listen on %s without a token",
    (listen) => {
      expect(mistakes({ listen })).toEqual(["token_file: must be set to listen beyond this machine; or listen on 127.0.0.1"]);
      expect(mistakes({ listen, token_file: "/run/secrets/control" })).toEqual([]);
    },
  );

  test("tells all mistakes at once", () => {
    expect(mistakes({ listen: "0.0.0.0:8470", port: 1, socket: "" })).toHaveLength(3);
  });
});

test("isLoopback knows this machine's addresses", () => {
  expect(["localhost", "127.0.0.1", "127.9.8.7", "::1"].every(isLoopback)).toBe(true);
  expect(["0.0.0.0", "::", "10.0.0.1", "localhost.example.com"].some(isLoopback)).toBe(false);
});
