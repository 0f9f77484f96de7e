import { expect, test } from "bun:test";
import { lokiBase } from "./loki.ts";

test("where a Loki lies, however it was written", () => {
  for (const path of ["", "/", "//", "/loki/api/v1", "/loki/api/v1/", "/loki/api/v1/push", "/loki/api/v1/push/"])
    expect([path, lokiBase(`http://a:3100${path}`)]).toEqual([path, "http://a:3100"]);
  for (const path of ["/gate", "/gate/", "/gate/loki/api/v1/push"]) expect([path, lokiBase(`https://a${path}`)]).toEqual([path, "https://a/gate"]);
  expect(lokiBase("https://a/loki?key=secret")).toBe("https://a/loki");
});
