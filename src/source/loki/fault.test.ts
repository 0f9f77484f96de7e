import { describe, expect, test } from "bun:test";
import { judgeEnd, refused } from "./fault.ts";

const place = "http://loki";

function answer(status: number, text = "", headers: Record<string, string> = {}) {
  return refused({ status, headers: new Headers(headers), text }, "ask http://loki for labels", 0);
}

describe("answers", () => {
  test.each([
    [400, "loki_query_refused", "denied"],
    [401, "loki_unauthorized", "denied"],
    [403, "loki_unauthorized", "denied"],
    [404, "loki_wrong_url", "denied"],
    [302, "loki_wrong_url", "denied"],
    [418, "loki_unexpected_answer", "denied"],
    [429, "loki_busy", "later"],
    [499, "loki_server_error", "later"],
    [500, "loki_server_error", "later"],
    [504, "loki_server_error", "later"],
  ] as const)("%i is %s, %s", (status, code, retry) => {
    expect(answer(status)).toMatchObject({ code, retry });
  });

  test("a 429 is waited out half a minute, since Loki never says how long, or as a gateway says", () => {
    expect([answer(429).waitMs, answer(429, "", { "retry-after": "7" }).waitMs, answer(500).waitMs]).toEqual([30_000, 7000, undefined]);
  });

  test("a missing tenant is told of", () => {
    expect(answer(401, "no org id\n").hint).toContain("set tenant");
  });
});

describe("the end of a tail", () => {
  const limit = "rpc error: code = Code(400) desc = max concurrent tail requests limit exceeded, count > limit (11 > 10)";
  test.each([
    [{ code: 1000, reason: "", opened: true }, undefined, 0],
    [{ code: 1011, reason: "reached tail max duration limit", opened: true }, undefined, 0],
    [{ code: 1011, reason: limit, opened: true }, "loki_tail_limit", 30_000],
    [{ code: 1011, reason: "all ingesters closed the connection", opened: true }, "loki_tail_closed", undefined],
    [{ code: 1011, reason: "no active ingester found", opened: true }, "loki_tail_closed", undefined],
    [{ code: 1006, reason: "", opened: true }, "loki_tail_closed", undefined],
    [{ code: 1006, reason: "", opened: false }, "loki_tail_closed", undefined],
    [{ code: 1006, reason: "", opened: false, status: 400 }, "loki_tail_refused", 60_000],
    [{ code: 1006, reason: "", opened: false, status: 426 }, "loki_tail_refused", 60_000],
    [{ code: 1006, reason: "", opened: false, status: 503 }, "loki_tail_refused", undefined],
    [{ code: 1006, reason: "", opened: false, status: 401 }, "loki_unauthorized", 60_000],
    [{ code: 1006, reason: "", opened: false, status: 429 }, "loki_busy", 30_000],
  ] as const)("%j is %p, waited %p", (end, code, waitMs) => {
    const { fault, waitMs: waited } = judgeEnd(end, place);
    expect({ code: fault?.code, waited }).toEqual({ code, waited: waitMs });
  });
});
