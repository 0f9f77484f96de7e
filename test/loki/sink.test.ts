/** The sink against a Loki over real HTTP: the fake, or with `LOKI_BIN` a real one. Both must do for it. */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { createBoard } from "../../src/core/board.ts";
import type { Receipt } from "../../src/core/contract.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { schema } from "../../src/sink/loki/config.ts";
import { loki } from "../../src/sink/loki/sink.ts";
import { testSignals } from "../support/batch.ts";
import { batchOf, hours, numbered, type Written } from "../support/loki/rig.ts";
import { startLoki, type LokiUnderTest } from "../support/loki/under.ts";

const parsed = (server: LokiUnderTest, more: object) => v.parse(schema, { type: "loki", url: server.url, tenant: "t1", ...more });

async function put(server: LokiUnderTest, records: readonly Written[], more: object = {}): Promise<Receipt> {
  const context = { name: "logs", host: "edge-1", spoolId: "0".repeat(32), doors: systemDoors, board: createBoard(silent, Date.now), log: silent };
  await using sink = await loki.open(parsed(server, more), context);
  return await sink.put(batchOf(records), testSignals().signals);
}

/** Lines of the last hours by time, those with a label `source`; and the labels of all streams. */
async function stored(server: LokiUnderTest): Promise<{ lines: string[]; labels: Record<string, string>[] }> {
  const end = Date.now() + 60_000;
  const query = { query: '{source=~".+"}', limit: "5000", direction: "forward", start: `${end - hours(3)}000000`, end: `${end}000000` };
  const headers = { "X-Scope-OrgID": "t1", "X-Loki-Response-Encoding-Flags": "categorize-labels" };
  const answer = await fetch(`${server.url}/loki/api/v1/query_range?${new URLSearchParams(query).toString()}`, { headers });
  const { data } = (await answer.json()) as { data: { result: { stream: Record<string, string>; values: [string, string][] }[] } };
  const values = data.result.flatMap((stream) => stream.values).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { lines: values.map(([, line]) => line), labels: data.result.map(({ stream }) => stream) };
}

for (const encoding of ["protobuf", "json"]) {
  test(`lines of one time come back in their order, labels as they are: ${encoding}`, async () => {
    await using server = await startLoki();
    const records = Array.from({ length: 300 }, (_, at) => ({ message: at % 10 === 0 ? "ping" : `n=${at} "\\ ü` }));
    await put(server, [...records, { source: 'q"\\\n\u0001ü\u2028', message: "odd" }], { encoding });
    const { lines, labels } = await stored(server);
    expect(lines.filter((line) => line !== "odd")).toEqual(records.map(({ message }) => message));
    expect(labels.map(({ source = "" }) => source).toSorted()).toEqual(["app", 'q"\\\n\u0001ü\u2028']);
  });
}

test("a few that are refused are found and named, all others are stored", async () => {
  await using server = await startLoki();
  const records = numbered(300);
  records[7] = { message: "too old", ms: -hours(24 * 30) };
  records[150] = { message: "ahead", ms: hours(2) };
  records[200] = { message: "x".repeat(300_000), ms: 200 };
  const { refused } = await put(server, records, { line_bytes_max: "1MiB" });
  expect(refused?.reasons).toEqual({ too_old: 1, too_far_ahead: 1, line_too_long: 1 });
  expect((await stored(server)).lines).toHaveLength(297);
});

test("what lies behind its stream is named, and so are nine hundred that are too old, with those that are not stored", async () => {
  await using server = await startLoki();
  await put(server, [{ message: "newest" }]);
  const { refused } = await put(server, [{ ms: -hours(2), message: "behind" }, { ms: -hours(0.9), message: "in time" }]); // prettier-ignore
  expect(refused?.reasons).toEqual({ too_far_behind: 1 });
  const old = Array.from({ length: 900 }, (_, at) => ({ ms: -hours(240) + at, source: "old" }));
  expect((await put(server, [...old, { message: "young", source: "old" }], { when_refused: "drop" })).refused?.reasons).toEqual({ too_old: 900 });
  expect((await stored(server)).lines.toSorted()).toEqual(["in time", "newest", "young"]);
});

test("check pushes nothing and is taken", async () => {
  await using server = await startLoki();
  for (const encoding of ["protobuf", "json"]) {
    const findings = await loki.check(parsed(server, { encoding }), { name: "logs", host: "edge-1", doors: systemDoors });
    expect(findings).toEqual([{ ok: true, what: `push nothing to ${server.url}` }]);
  }
  expect((await stored(server)).lines).toEqual([]);
});
