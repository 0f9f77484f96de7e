/** The source against a Loki over real HTTP and WebSockets: the fake, or with `LOKI_BIN` a real one. Both must do for it. */
import { describe, expect, test } from "bun:test";
import { loki } from "../../src/source/loki/source.ts";
import { MemorySpool } from "../conformance/memory.ts";
import { startSource } from "../conformance/running.ts";
import { startLoki, type LokiUnderTest } from "../support/loki/under.ts";
import { baseOf, essence, stepsOf } from "./recorded.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const quick = { type: "loki", tenant: "t1", start: "1h", settle: "1s", sweep_interval: "200ms" };

/** Nanoseconds of now, and so many more. */
function nowNs(more = 0): string {
  return String(BigInt(Date.now()) * 1_000_000n + BigInt(more));
}

interface Record {
  readonly timestamp: string;
  readonly labels: { [name: string]: string };
  readonly metadata?: { [name: string]: string };
  readonly message: string;
}

function recordsOf(spool: MemorySpool): Record[] {
  return spool.lines.map(({ text }) => JSON.parse(text) as Record);
}

async function begin(server: LokiUnderTest, config: object = {}, spool = new MemorySpool(), directory?: string) {
  const running = await startSource(
    loki,
    { ...quick, url: server.url, query: '{app="web"}', ...config },
    spool,
    directory === undefined ? {} : { directory },
  );
  return { spool, running, status: () => running.source.status() };
}

describe("a Loki", () => {
  test("tails an entry to the nanosecond, labels and metadata apart, line ends and all", async () => {
    await using server = await startLoki();
    const { spool, running, status } = await begin(server);
    await until(() => status().tail === "up", "the tail is up");
    const ns = nowNs(123_457);
    await server.push([{ stream: { app: "web" }, values: [[ns, 'one\ntwo <b> "q" \\ ü \u2028', { "user-id": "7" }]] }]);
    await until(() => spool.lines.length === 1, "it has arrived");
    const [record] = recordsOf(spool);
    expect(record).toMatchObject({ labels: { app: "web" }, metadata: { user_id: "7" }, message: 'one\ntwo <b> "q" \\ ü \u2028' });
    expect(record?.timestamp.slice(20)).toBe(`${ns.slice(-9)}Z`);
    await running.stop();
  }, 60_000);

  test("drops streams of a burst from its tail, and the source has them all, once, over ends of its tails and restarts", async () => {
    await using dir = await scratch();
    await using server = await startLoki({ tailMs: 3000, entries: 500 });
    const spool = new MemorySpool();
    const pushed: string[] = [];
    let life = await begin(server, {}, spool, dir.join("state"));
    for (let round = 0; round < 24; round++) {
      const streams = Array.from({ length: 20 }, (_, pod) => ({
        stream: { app: "web", pod: String(pod) },
        values: Array.from({ length: 10 }, (__, n) => {
          pushed.push(`${round} ${pod} ${n}`);
          return [nowNs(n), `${round} ${pod} ${n}`] as const;
        }),
      }));
      expect((await server.push(streams)).status).toBe(204);
      await Bun.sleep(200);
      if (round % 8 !== 7) continue;
      await life.running.stop();
      life = await begin(server, {}, spool, dir.join("state"));
    }
    await until(() => spool.lines.length >= pushed.length, "all has arrived");
    const to = Date.now() + 1000;
    await until(() => Date.parse(life.status().complete_to ?? "1970-01-01T00:00:00Z") > to, "another look was had");
    expect(
      recordsOf(spool)
        .map(({ message }) => message)
        .toSorted(),
    ).toEqual(pushed.toSorted());
    expect(life.status()).toMatchObject({ lost_entries: 0, audit: "counts" });
    await life.running.stop();
  }, 120_000);

  test("has a time that no page holds: read stream by stream, the rest is declared", async () => {
    await using server = await startLoki({ entries: 50 });
    const ns = nowNs(-90_000_000_000);
    const streams = [40, 49, 70].map((count, pod) => ({
      stream: { app: "web", pod: String(pod) },
      values: Array.from({ length: count }, (_, n) => [ns, `${pod} ${n}`] as const),
    }));
    await server.push(streams);
    const { spool, running, status } = await begin(server);
    await until(() => status().lost_entries === 20, "the loss is declared");
    expect(spool.lines.length).toBe(139);
    expect(status().losses).toMatchObject([{ stream: '{"app":"web","pod":"2"}', reason: "loki_time_crowded", entries: 20 }]);
    await running.stop();
  }, 60_000);

  test("counts a query whose lines a stage cannot parse, without the label of the error", async () => {
    await using server = await startLoki();
    await server.push([
      {
        stream: { app: "web" },
        values: [
          [nowNs(-70_000_000_000), "not json"],
          [nowNs(-69_000_000_000), '{"a":"1"}'],
        ],
      },
    ]);
    const { spool, running, status } = await begin(server, { query: '{app="web"} | json' });
    await until(() => spool.lines.length === 2 && (status().minutes ?? []).some(({ held }) => held > 0), "both are there and counted");
    expect(status().audit).toBe("counts");
    expect((status().minutes ?? []).filter(({ server: there, held }) => there !== held)).toEqual([]);
    await running.stop();
  }, 60_000);

  test("keeps tenants apart, and two sources of it", async () => {
    await using server = await startLoki();
    await server.push([{ stream: { app: "web" }, values: [[nowNs(), "of the first"]] }], "t1");
    await server.push([{ stream: { app: "web" }, values: [[nowNs(), "of the second"]] }], "t2");
    const [first, second] = [await begin(server), await begin(server, { tenant: "t2", mode: "poll" })];
    await until(() => first.spool.lines.length === 1 && second.spool.lines.length === 1, "each has its own");
    expect([first, second].map(({ spool }) => recordsOf(spool)[0]?.message)).toEqual(["of the first", "of the second"]);
    await first.running.stop();
    await second.running.stop();
  }, 60_000);

  test("has one tail too many: sweeps bring everything, and the source says so", async () => {
    await using server = await startLoki({ tails: 1 });
    const first = await begin(server);
    await until(() => first.status().tail === "up", "the first is up");
    const second = await begin(server);
    await until(() => second.running.board.counts()["loki_tail_limit"] !== undefined, "the second is told");
    await server.push([{ stream: { app: "web" }, values: [[nowNs(), "for both"]] }]);
    await until(() => first.spool.lines.length === 1 && second.spool.lines.length === 1, "both have it");
    await first.running.stop();
    await second.running.stop();
  }, 60_000);
});

describe("exchanges as they were recorded, moved to now", () => {
  for (const name of ["push", "query-range"]) {
    test(
      name,
      async () => {
        await using server = await startLoki();
        const steps = stepsOf(name);
        // Whole minutes: counts are evaluated at multiples of their step.
        const movedMs = Math.floor((Date.now() - baseOf(steps)) / 60_000) * 60_000;
        for (const { http } of steps) {
          const sent = http === undefined ? undefined : movedBody(http.body, movedMs);
          if (http === undefined || sent === undefined || http.path.endsWith("/buildinfo")) continue;
          const answer = await fetch(`${server.url}${moved(http.path, movedMs)}`, {
            method: http.method,
            headers: http.headers,
            ...(http.method === "GET" ? {} : { body: sent }),
          });
          const text = moved(await answer.text(), -movedMs);
          // Words with a date in them are not moved with it; labels are also those of other recordings.
          const told = http.status === 200 && !http.path.endsWith("/labels");
          expect({ path: http.path, status: answer.status, got: told ? essence(text) : "" }).toEqual({
            path: http.path,
            status: http.status,
            got: told ? essence(http.answer) : "",
          });
        }
      },
      60_000,
    );
  }
});

/** A body that is text, or text in gzip; undefined when it was left out of the recording. */
function movedBody(body: unknown, ms: number): string | Uint8Array<ArrayBuffer> | undefined {
  if (typeof body === "string" || body === null) return moved(body ?? "", ms);
  if (typeof body !== "object" || !("base64" in body)) return undefined;
  const text = Buffer.from(Bun.gunzipSync(Buffer.from(String(body.base64), "base64"))).toString();
  return Bun.gzipSync(moved(text, ms));
}

/** Times of 2026 in nanoseconds and in seconds, so many milliseconds later. */
function moved(text: string, ms: number): string {
  return text
    .replaceAll(/1[78]\d{17}/g, (ns) => String(BigInt(ns) + BigInt(ms) * 1_000_000n))
    .replaceAll(/(?<!\d)1[78]\d{8}(?!\d)/g, (seconds) => String(Number(seconds) + ms / 1000));
}
