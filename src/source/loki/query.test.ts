import { describe, expect, test } from "bun:test";
import * as v from "valibot";
import { SimulatedClock } from "../../../test/support/loki/clock.ts";
import { lokiNetwork } from "../../../test/support/loki/door.ts";
import { FakeLoki } from "../../../test/support/loki/fake.ts";
import { systemDoors } from "../../core/doors.ts";
import { Client } from "./client.ts";
import { schema } from "./config.ts";
import { Decoder } from "./entry.ts";
import { narrowed, Query, selectorOf } from "./query.ts";

const kill = new AbortController().signal;

function world(query = '{app="web"}') {
  const clock = new SimulatedClock();
  const fake = new FakeLoki(clock);
  const doors = { ...systemDoors, clock, network: lokiNetwork(fake) };
  const client = new Client(v.parse(schema, { type: "loki", url: "http://loki", query, tenant: "t1" }), doors);
  const crowded: string[] = [];
  const asides = { crowded: (_: bigint, stream: string) => void crowded.push(stream), flagged: () => {} };
  const asked = new Query(client, new Decoder("h", "s", {}), query, asides);
  const now = BigInt(clock.now()) * 1_000_000n;
  const push = (pod: string, lines: readonly [agoNs: number, line: string][]): void => {
    fake.push([{ stream: { app: "web", pod }, values: lines.map(([ago, line]) => [String(now - BigInt(ago)), line] as const) }]);
  };
  /** Lets time pass until `work` is done. */
  const done = async <T>(work: Promise<T>): Promise<T> => {
    let over = false;
    const watched = work.finally(() => (over = true));
    watched.catch(() => {});
    await clock.pass(3_600_000, () => over);
    return watched;
  };
  const read = async (from: bigint, end: bigint): Promise<string[]> => {
    const lines: string[] = [];
    await done(asked.read(from, end, (entries) => Promise.resolve(void lines.push(...entries.map(({ line }) => line))), kill));
    return lines;
  };
  return { fake, query: asked, crowded, now, push, done, read };
}

describe("reading", () => {
  test("goes page by page over all streams by time; none of equal times at a page's edge is left out", async () => {
    const { fake, push, read, now } = world();
    fake.limits.entries = 7;
    for (const pod of ["a", "b", "c"])
      push(
        pod,
        Array.from({ length: 20 }, (_, n) => [1_000_000_000 - Math.floor(n / 2) * 1000, `${pod} ${n}`]),
      );
    const lines = await read(now - 2_000_000_000n, now);
    expect(new Set(lines).size).toBe(60);
    // A page's last time is read again with the next.
    expect(lines.length).toBeLessThan(60 * 3);
    const index = (line: string): number => Math.floor(Number(line.slice(2)) / 2);
    expect(lines.map(index).every((at, n, all) => n === 0 || at >= (all[n - 1] ?? 0))).toBe(true);
  });

  test("asks for less where the server says so: entries of a page, length of a range", async () => {
    const { fake, push, read, now } = world();
    Object.assign(fake.limits, { entries: 300, queryHours: 0.25 });
    push(
      "a",
      Array.from({ length: 400 }, (_, n) => [3_000_000_000_000 - n, `${n}`]),
    );
    expect(new Set(await read(now - 3_600_000_000_000n, now)).size).toBe(400);
    expect(fake.asked.some(({ path }) => path.includes("limit=1000"))).toBe(true);
  });

  test("one time that fills a page is read stream by stream; a stream that fills one is told of", async () => {
    const { fake, push, read, now, crowded } = world();
    fake.limits.entries = 50;
    for (const [pod, count] of [
      ["a", 30],
      ["b", 60],
    ] as const)
      push(
        pod,
        Array.from({ length: count }, (_, n) => [1000, `${pod} ${n}`]),
      );
    expect(new Set(await read(now - 2000n, now)).size).toBe(80);
    expect(crowded).toEqual(['{"app":"web","pod":"b"}']);
  });

  test("metrics are no log lines", async () => {
    const { read, now } = world('sum(count_over_time({app="web"}[1m]))');
    expect(read(now - 60_000_000_000n, now)).rejects.toMatchObject({ code: "loki_query_refused" });
  });
});

describe("counting", () => {
  test("is by steps, start excluded and end included, in questions of 5,000 steps", async () => {
    const { fake, query, push, done, now } = world();
    push("a", [[1_000_000_000, "x"]]);
    push("b", [[1_000_000_000, "x"]]);
    const to = Math.ceil(Number(now / 1_000_000_000n) / 10) * 10;
    const counts = await done(query.counts(to - 60_000, to, 10, kill));
    expect([...(counts ?? [])].reduce((sum, [, count]) => sum + count, 0)).toBe(2);
    expect(fake.asked.length).toBe(2);
  });

  test("by streams, each by its labels", async () => {
    const { query, push, done, now } = world();
    push("a", [
      [1_000_000_000, "x"],
      [1_000_000_001, "y"],
    ]);
    push("b", [[1_000_000_000, "x"]]);
    const minute = Math.floor((Number(now / 1_000_000_000n) - 1) / 60) * 60;
    const counts = await done(query.countsByStream(minute, minute + 60, kill));
    expect([...(counts ?? [])].map(([stream, minutes]) => [stream, minutes.get(minute)])).toEqual([
      ['{"app":"web","pod":"a"}', 2],
      ['{"app":"web","pod":"b"}', 1],
    ]);
  });

  test("leaves out the label of an error where that is all that stands against it", async () => {
    const { fake, query, done } = world('{app="web"} | json');
    fake.faults.uncountable = "errors";
    expect(await done(query.counts(1_795_404_000, 1_795_404_060, 60, kill))).toBeInstanceOf(Map);
    fake.faults.uncountable = true;
    expect(await done(query.counts(1_795_404_000, 1_795_404_060, 60, kill))).toBeUndefined();
  });
});

test("the oldest entry is found over a year without any", async () => {
  const { fake, query, done, now } = world();
  const old = now - 500n * 86_400_000_000_000n;
  fake.store.place({ app: "web" }, { ns: old, line: "old", metadata: {} });
  expect(await done(query.oldest(now, kill))).toBe(old);
});

test("selectors are found in a query, and narrowed to a stream, whatever stands in quotes", () => {
  const query = '{app="a}b", x=~`{`} |= "{" | json';
  expect(selectorOf(query)).toBe('{app="a}b", x=~`{`}');
  expect(narrowed(query, { pod: 'q"' })).toBe('{pod="q\\"",app="a}b", x=~`{`} |= "{" | json');
});
