import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { systemDoors } from "../../core/doors.ts";
import type { NetworkAnswer, NetworkRequest } from "../../core/network.ts";
import { Client } from "./client.ts";
import { schema } from "./config.ts";

const kill = new AbortController().signal;
const nowMs = 1_795_404_760_000;

/** A client of a network that answers as told, one after the other. */
function world(answers: readonly (Partial<NetworkAnswer> | Error)[], takesMs = 0) {
  const asked: NetworkRequest[] = [];
  let passedMs = 0;
  const clock = { ...systemDoors.clock, now: () => nowMs + passedMs, sleep: () => new Promise<void>(() => {}) };
  const request = (given: NetworkRequest): Promise<NetworkAnswer> => {
    asked.push(given);
    passedMs += takesMs;
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ status: 200, headers: new Headers(), text: "{}", ...answer });
  };
  const config = v.parse(schema, { type: "loki", url: "http://user.example/gateway//", query: '{a="b"}', tenant: "t1" });
  const doors = {
    ...systemDoors,
    clock: { ...clock, sleep: (ms: number) => (ms < 5000 ? Promise.resolve() : new Promise<void>(() => {})) },
    network: { ...systemDoors.network, request },
  };
  return { client: new Client(config, doors), asked };
}

describe("requests", () => {
  test("have the base path once, tenant and flags, and pass caches by", async () => {
    const { client, asked } = world([{ text: '{"data":[1]}' }]);
    expect(await client.data("labels", { a: "b c" }, kill)).toEqual({ data: [1], length: 12 });
    expect(asked[0]?.url).toBe("http://user.example/gateway/loki/api/v1/labels?a=b+c");
    expect(asked[0]?.headers).toMatchObject({
      "X-Scope-OrgID": "t1",
      "X-Loki-Response-Encoding-Flags": "categorize-labels",
      "Cache-Control": "no-cache",
    });
    expect([client.requests, client.bytes]).toEqual([1, 12]);
  });

  test("are tried three times over a 500 or an answer that was cut, not over a 400 or a 504", async () => {
    const cut = world([{ text: '{"da' }, { status: 500 }, { text: '{"data":7}' }]);
    expect((await cut.client.data("labels", {}, kill)).data).toBe(7);
    const broken = world([{ status: 500 }]);
    expect(broken.client.data("labels", {}, kill)).rejects.toMatchObject({ code: "loki_server_error" });
    await Bun.sleep(1);
    expect(broken.asked.length).toBe(3);
    for (const status of [400, 504]) {
      const once = world([{ status }]);
      await client400(once.client);
      expect(once.asked.length).toBe(1);
    }
  });
});

async function client400(client: Client): Promise<void> {
  await client.data("labels", {}, kill).then(
    () => expect.unreachable(),
    () => {},
  );
}

describe("the server's clock", () => {
  const dated = (ms: number, more: Record<string, string> = {}) => ({ headers: new Headers({ date: new Date(nowMs + ms).toUTCString(), ...more }) });

  test.each([
    [0, 0, 0],
    [900, 0, 0],
    [90_000, 0, 90_000],
    [-90_000, 0, -89_000],
    // An answer that took 30 s was made at any moment of them.
    [20_000, 30_000, 0],
  ])("that says %i ms more, in an answer that took %i, is ahead %i", async (ms, takesMs, ahead) => {
    const { client } = world([dated(ms)], takesMs);
    await client.get("labels", {}, kill);
    expect(client.aheadMs).toBe(ahead);
  });

  test("is not told by an answer from a cache", async () => {
    const { client } = world([dated(90_000, { age: "90" })]);
    await client.get("labels", {}, kill);
    expect(client.now()).toBe(nowMs);
  });
});
