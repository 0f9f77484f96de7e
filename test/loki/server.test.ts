/** The source over real HTTP, WebSockets and TLS: credentials, base paths, what `check` finds, how fast an entry is there. */
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import * as v from "valibot";
import { systemDoors } from "../../src/core/doors.ts";
import { loki } from "../../src/source/loki/source.ts";
import { MemorySpool } from "../conformance/memory.ts";
import { startSource } from "../conformance/running.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { serveLoki } from "../support/loki/server.ts";
import { scratch } from "../support/scratch.ts";
import { testTls } from "../support/tls.ts";
import { until } from "../support/until.ts";

const common = { type: "loki", query: '{app="web"}', tenant: "t1", start: "1h" };

function push(fake: FakeLoki, line: string): void {
  fake.push([
    {
      stream: { app: "web" },
      values: [
        [
          `${Date.now()}${String(performance.now() % 1)
            .slice(2, 8)
            .padEnd(6, "0")}`,
          line,
        ],
      ],
    },
  ]);
}

async function findings(config: Record<string, unknown>): Promise<string[]> {
  const found = await loki.check(v.parse(loki.schema, config), { name: "app", host: "edge-1", doors: systemDoors });
  return found.map(({ ok, what, code }) => (ok ? `ok ${what.split(" ")[0]}` : `${code} ${what.split(" ")[0]}`));
}

describe("the way to Loki", () => {
  test("base path with a slash at its end, own CA, bearer token from a file that changes, tail and queries alike", async () => {
    await using dir = await scratch();
    writeFileSync(dir.join("token"), "first\n");
    writeFileSync(dir.join("ca.pem"), testTls.ca);
    const fake = new FakeLoki();
    fake.limits.tickMs = 20;
    await using server = serveLoki(fake, testTls.server);
    const spool = new MemorySpool();
    const config = {
      ...common,
      url: `${server.url}/gateway/`,
      bearer_token_file: dir.join("token"),
      tls: { ca_file: dir.join("ca.pem") },
      sweep_interval: "50ms",
    };
    await using running = await startSource(loki, config, spool, { directory: dir.join("state") });
    await until(() => running.source.status().tail === "up", "the tail is up");
    push(fake, "over tls");
    await until(() => spool.lines.length === 1, "it has arrived");
    const before = fake.asked.length;
    writeFileSync(dir.join("token"), "second token\n".replace(" ", "-"));
    server.cut();
    await until(() => fake.asked.slice(before).some(({ headers }) => headers["authorization"] === "Bearer second-token"), "the new token is used");
    expect(fake.asked.every(({ path }) => path.startsWith("/gateway/loki/api/v1/"))).toBe(true);
    expect(fake.asked.every(({ headers }) => headers["x-scope-orgid"] === "t1" && headers["cache-control"] === "no-cache")).toBe(true);
    await running.stop();
  });

  test("an entry is there within a tick of the tail, and what a cut connection missed soon after", async () => {
    const fake = new FakeLoki();
    fake.limits.tickMs = 20;
    await using server = serveLoki(fake);
    const spool = new MemorySpool();
    await using running = await startSource(loki, { ...common, url: server.url }, spool);
    await until(() => running.source.status().tail === "up", "the tail is up");
    const begun = performance.now();
    push(fake, "one");
    await until(() => spool.lines.length === 1, "it has arrived");
    expect(performance.now() - begun).toBeLessThan(5000);
    server.cut();
    push(fake, "two");
    await until(() => spool.lines.length === 2, "it was fetched");
    await running.stop();
  });
});

describe("check", () => {
  test("asks for labels, the query and a tail, and says which of them is not permitted", async () => {
    const fake = new FakeLoki();
    await using server = serveLoki(fake);
    const right = { ...common, url: server.url };
    expect(await findings(right)).toEqual(["ok reach", "ok query", "ok open"]);
    expect(await findings({ ...right, tenant: undefined })).toEqual(["loki_unauthorized reach"]);
    expect(await findings({ ...right, url: `${server.url}/elsewhere/x`, query: "{app=" })).toEqual(["ok reach", "loki_query_refused query"]);
    expect(await findings({ ...right, query: 'sum(count_over_time({app="web"}[1m]))' })).toEqual(["ok reach", "loki_query_refused query"]);
    fake.limits.tails = 0;
    expect(await findings(right)).toEqual(["ok reach", "ok query", "loki_tail_limit open"]);
    expect(await findings({ ...right, mode: "poll" })).toEqual(["ok reach", "ok query"]);
    await server[Symbol.asyncDispose]();
    expect(await findings(right)).toEqual(["loki_unreachable reach"]);
  });
});
