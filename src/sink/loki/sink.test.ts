/** The sink against a Loki with its own rules and words: what is delivered, held, tried again, taken apart and given up. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import * as v from "valibot";
import { testBatch, testSignals, type TestBatch } from "../../../test/support/batch.ts";
import { FakeLoki } from "../../../test/support/loki/fake.ts";
import { type LokiServer, serveLoki } from "../../../test/support/loki/server.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { faultOf } from "../../../test/support/store.ts";
import { testTls } from "../../../test/support/tls.ts";
import { type Board, createBoard } from "../../core/board.ts";
import type { Receipt, Sink } from "../../core/contract.ts";
import { systemDoors } from "../../core/doors.ts";
import { silent } from "../../core/log.ts";
import { schema } from "./config.ts";
import { loki } from "./sink.ts";

let dir: Scratch;
let fake: FakeLoki;
let server: LokiServer;
let board: Board;

beforeEach(async () => {
  dir = await scratch();
  fake = new FakeLoki();
  server = serveLoki(fake);
  board = createBoard(silent, Date.now);
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const config = (overrides: Record<string, unknown> = {}) => v.parse(schema, { type: "loki", url: server.url, tenant: "t1", ...overrides });
const open = (overrides: Record<string, unknown> = {}): Promise<Sink> =>
  loki.open(config(overrides), { name: "logs", host: "edge-1", spoolId: "0".repeat(32), doors: systemDoors, board, log: silent });

const begunMs = Date.now() - 60_000;
interface Written {
  source?: string;
  ms?: number;
  ns?: string;
  message?: string;
}
/** A record a line; `ms` is behind `begunMs`. */
const lineOf = ({ source = "app", ms = 0, ns = "", message = "m" }: Written, offset: number): string =>
  `${JSON.stringify({ timestamp: new Date(begunMs + ms).toISOString().replace("Z", `${ns}Z`), host: "edge-1", source, file: "/a", offset, message })}\n`;
const batchOf = (records: readonly Written[], overrides: Parameters<typeof testBatch>[1] = {}): TestBatch =>
  testBatch([Buffer.from(records.map((record, at) => lineOf(record, at)).join(""))], {
    lane: "0",
    codec: "none",
    ranges: [[100, 99 + records.length]],
    records: records.length,
    ...overrides,
  });
const numbered = (count: number, more: Written = {}): Written[] =>
  Array.from({ length: count }, (_, at) => ({ message: `n=${at}`, ms: at, ...more }));
const put = async (batch: TestBatch, overrides: Record<string, unknown> = {}): Promise<Receipt> => {
  await using sink = await open(overrides);
  return await sink.put(batch, testSignals().signals);
};
const refusal = (overrides: Record<string, unknown> = {}, batch = batchOf([{}])) => faultOf(put(batch, overrides));
const messages = (): string[] => [...fake.store.streams.values()].flatMap(({ entries }) => entries.map(({ line }) => line));
const hours = (count: number): number => count * 3_600_000;

describe("a push", () => {
  for (const encoding of ["protobuf", "json"] as const) {
    test(`stores labels, exact time, line and metadata: ${encoding}`, async () => {
      expect(await put(batchOf([{ message: 'ü "\\ \u0000', ns: "000001" }, { message: "" }]), { encoding })).toEqual({ outcome: "delivered" });
      const [stream] = fake.store.streams.values();
      expect(stream?.labels).toEqual({ file: "/a", host: "edge-1", source: "app" });
      const ns = BigInt(begunMs) * 1_000_000n;
      expect(stream?.entries).toEqual([
        { ns, line: "", metadata: { offset: "1" } },
        { ns: ns + 1n, line: 'ü "\\ \u0000', metadata: { offset: "0" } },
      ]);
    });
  }

  test("takes a batch in zstd frames", async () => {
    const frames = await Promise.all(["one", "two"].map((message, at) => systemDoors.compress.zstd(Buffer.from(lineOf({ message }, at)), 1)));
    await put(testBatch(frames, { codec: "zstd", ranges: [[0, 1]] }));
    expect(messages()).toEqual(["one", "two"]);
  });

  test("has the tenant, the token as it is now, and lies below the base path, with or without slash", async () => {
    await writeFile(dir.join("token"), "first\n");
    for (const url of [server.url, `${server.url}/`, `${server.url}/gate/way/`, `${server.url}/gate/way`]) {
      await put(batchOf([{ message: url }]), { url, bearer_token_file: dir.join("token") });
    }
    expect(fake.asked.map(({ path }) => path)).toEqual([
      "/loki/api/v1/push",
      "/loki/api/v1/push",
      "/gate/way/loki/api/v1/push",
      "/gate/way/loki/api/v1/push",
    ]);
    expect(fake.asked[0]?.headers).toMatchObject({
      "x-scope-orgid": "t1",
      authorization: "Bearer first",
      "content-type": "application/x-protobuf",
      "user-agent": expect.stringMatching(/^logferry\//),
    });
  });

  test("goes through the proxy of the environment", async () => {
    process.env["HTTP_PROXY"] = server.url;
    try {
      await put(batchOf([{}]), { url: "http://loki.invalid/x" });
      expect(fake.asked[0]).toMatchObject({ headers: { host: "loki.invalid" } });
    } finally {
      delete process.env["HTTP_PROXY"];
    }
  });

  test("speaks TLS with own issuer and client certificate", async () => {
    const secure = new FakeLoki();
    await using tls = serveLoki(secure, { ...testTls.server, ca: testTls.ca, requestCert: true });
    await writeFile(dir.join("ca"), testTls.ca);
    await writeFile(dir.join("cert"), testTls.client.cert);
    await writeFile(dir.join("key"), testTls.client.key);
    expect(await refusal({ url: tls.url })).toMatchObject({ code: "loki_unreachable", retry: "later", hint: expect.stringContaining("tls.ca_file") });
    await put(batchOf([{}]), { url: tls.url, tls: { ca_file: dir.join("ca"), cert_file: dir.join("cert"), key_file: dir.join("key") } });
    expect(secure.pushes).toHaveLength(1);
  });

  test("is cut by size; one stream goes in order", async () => {
    await put(batchOf(numbered(500).map((record) => ({ ...record, message: `${record.message} ${"x".repeat(100)}` }))), {
      batch: { bytes_max: "8KiB" },
    });
    expect(fake.pushes.length).toBeGreaterThan(6);
    const order = fake.pushes.flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => Number(/n=(\d+)/.exec(line)?.[1]))));
    expect(order).toEqual(Array.from({ length: 500 }, (_, at) => at));
  });

  test("of other streams goes beside it", async () => {
    const records = numbered(400).map((record, at) => ({ ...record, source: `s${at % 8}` }));
    await put(batchOf(records));
    expect(fake.pushes.length).toBeGreaterThan(1);
    expect(fake.pushes.length).toBeLessThanOrEqual(4);
    expect(new Set(messages()).size).toBe(400);
  });

  test("is by time within a stream, so that nothing lies behind what comes with it", async () => {
    await put(batchOf([{ ms: 0, message: "late" }, { ms: -hours(3), message: "early" }, { ms: -hours(1.5), message: "between" }])); // prettier-ignore
    expect(messages()).toEqual(["early", "between", "late"]);
  });

  test("is the same bytes when it is tried again, also after a restart, and stored once", async () => {
    fake.script = { after: () => (fake.pushes.length < 2 ? { status: 502, text: "bad gateway" } : undefined) };
    const batch = batchOf(numbered(50));
    for (let start = 0; start < 2; start++) expect(await refusal({}, batch)).toMatchObject({ code: "loki_server_error", retry: "later" });
    await put(batch);
    expect(fake.pushes).toHaveLength(3);
    expect(new Set(fake.pushes.map(({ streams, bytes }) => JSON.stringify([streams, bytes]))).size).toBe(1);
    expect(messages()).toHaveLength(50);
  });

  const timesOf = (): [ns: bigint, line: string][] =>
    [...fake.store.streams.values()].flatMap(({ entries }) =>
      entries.map(({ ns, line }): [bigint, string] => [ns - BigInt(begunMs) * 1_000_000n, line]),
    );

  test("keeps the order of lines that have one time: each goes a nanosecond behind the one before", async () => {
    await put(batchOf([{ message: "c" }, { message: "b" }, { message: "a" }, { message: "z", source: "b" }, { message: "later", ms: 1 }]));
    expect(timesOf()).toEqual([[0n, "c"], [1n, "b"], [2n, "a"], [1_000_000n, "later"], [0n, "z"]]); // prettier-ignore
    expect(new Set(fake.pushes.flatMap(({ streams }) => streams.map(({ stream }) => stream["source"]))).size).toBe(2);
  });

  test("leaves times that say their nanoseconds, and all of them when that is wanted", async () => {
    await put(batchOf([{ message: "a", ns: "000000" }, { message: "b", ns: "000000" }])); // prettier-ignore
    await put(batchOf([{ message: "c" }, { message: "d" }]), { equal_times: "kept" });
    expect(timesOf().map(([ns]) => ns)).toEqual([0n, 0n, 0n, 0n]);
  });

  test("stays in order when the time moves on by less than that, and when it goes back", async () => {
    const many = Array.from({ length: 1200 }, (_, at) => ({ message: `n=${at}` }));
    await put(batchOf([...many, { message: "next", ns: "001" }, { message: "back", ms: -1 }]), { concurrency: 1 });
    const times = timesOf();
    expect(times.slice(0, 3).map(String)).toEqual(["-1000000,back", "0,n=0", "1,n=1"]);
    expect(times.slice(-2).map(String)).toEqual(["1199,n=1199", "1200,next"]);
  });

  test("goes on counting in the next batch, the same after a restart", async () => {
    const second = batchOf([{ message: "c" }, { message: "d" }]);
    await using sink = await open();
    await sink.put(batchOf([{ message: "a" }, { message: "b" }]), testSignals().signals);
    fake.script = { after: () => (fake.pushes.length === 1 ? { status: 502 } : undefined) };
    expect(await faultOf(sink.put(second, testSignals().signals))).toMatchObject({ code: "loki_server_error" });
    await put({ ...second, note: second.notes.at(-1) });
    expect(timesOf()).toEqual([[0n, "a"], [1n, "b"], [2n, "c"], [3n, "d"]]); // prettier-ignore
  });

  test("equal lines of one time are all stored", async () => {
    await put(batchOf([{}, {}, {}]));
    expect(messages()).toEqual(["m", "m", "m"]);
  });

  test("cuts a line that is too long for Loki, and counts it", async () => {
    await put(batchOf([{ message: "x".repeat(300_000) }]));
    expect(messages().map(({ length }) => length)).toEqual([262_144]);
    expect(board.counts()).toEqual({ loki_line_cut: 1 });
  });

  test("what was stored of a batch is not pushed again", async () => {
    const batch = batchOf(numbered(500).map((record) => ({ ...record, message: `${record.message} ${"x".repeat(100)}` })));
    fake.script = { before: () => (fake.pushes.length === 3 ? { status: 503 } : undefined) };
    await using sink = await open({ batch: { bytes_max: "8KiB" }, concurrency: 1 });
    expect(await faultOf(sink.put(batch, testSignals().signals))).toMatchObject({ code: "loki_server_error" });
    await sink.put(batch, testSignals().signals);
    const lines = fake.pushes
      .filter(({ status }) => status === 204)
      .flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => line)));
    expect(lines).toHaveLength(500);
    expect(new Set(lines).size).toBe(500);
  });
});

describe("each answer has a verdict", () => {
  const rows: [status: number, text: string, code: string, retry: string, hint: RegExp][] = [
    [200, "", "loki_unexpected_answer", "denied", /is it Loki/],
    [202, "", "loki_unexpected_answer", "denied", /is it Loki/],
    [
      260,
      "ingestion blocked for user 't1' until '2026-12-01T00:00:00Z' with status code '260'",
      "loki_ingestion_blocked",
      "denied",
      /blocked in Loki/,
    ],
    [403, "ingestion blocked for user 't1' until 'x' with status code '403'", "loki_ingestion_blocked", "denied", /blocked in Loki/],
    [307, "", "loki_wrong_url", "denied", /correct url/],
    [400, "multiple org IDs present", "loki_push_refused", "denied", /one tenant/],
    [400, "couldn't parse labels: 1:5: parse error", "loki_push_refused", "denied", /correct labels/],
    [400, "whatever a proxy says", "loki_push_refused", "denied", /something on the way/],
    [401, "no org id", "loki_unauthorized", "denied", /set tenant/],
    [401, "", "loki_unauthorized", "denied", /bearer_token_file/],
    [404, "404 page not found", "loki_wrong_url", "denied", /\/loki\/api\/v1/],
    [407, "", "loki_unauthorized", "denied", /HTTPS_PROXY/],
    [408, "", "loki_server_error", "later", /by itself/],
    [413, "", "loki_push_refused", "denied", /too large/],
    [415, "", "loki_unexpected_answer", "denied", /encoding: json/],
    [422, "", "loki_push_refused", "denied", /./],
    [429, "ingestion rate limit exceeded for user t1", "loki_busy", "later", /ingestion_rate_mb/],
    [429, "maximum active stream limit exceeded", "loki_busy", "later", /fewer labels/],
    [429, "Per stream rate limit exceeded", "loki_busy", "later", /per_stream_rate_limit/],
    [500, "", "loki_server_error", "later", /log/],
    [501, "", "loki_unexpected_answer", "denied", /is it Loki/],
    [503, "", "loki_server_error", "later", /log/],
    [504, "", "loki_server_error", "later", /log/],
  ];
  for (const [status, text, code, retry, hint] of rows) {
    test(`${status} ${text}: ${code}, ${retry}`, async () => {
      fake.script = { before: () => ({ status, text }) };
      const fault = await refusal();
      expect(fault).toMatchObject({ code, retry, hint: expect.stringMatching(hint) });
      expect(fault.message).toStartWith(`push to ${server.url}: answered ${status}`);
    });
  }

  test("Retry-After is passed on, though Loki itself never says it", async () => {
    fake.script = { before: () => ({ status: 429, headers: { "Retry-After": "7" } }) };
    expect(await refusal()).toMatchObject({ code: "loki_busy", waitMs: 7000 });
  });

  test("nobody listens, the name does not exist, no answer in time", async () => {
    expect(await refusal({ url: "http://127.0.0.1:1" })).toMatchObject({ message: "reach http://127.0.0.1:1: connection refused" });
    expect(await refusal({ url: "http://no-such-host.invalid" })).toMatchObject({ hint: expect.stringContaining("correct the host in url") });
    const silentServer = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Promise<Response>(() => {}) });
    expect((await refusal({ url: silentServer.url.href, timeout: "100ms" })).message).toEndWith("no answer within 0.1 s");
    await silentServer.stop(true);
  });

  test("a tenant that is missing, a label too many, metadata that is not wanted: held, with what to change", async () => {
    expect(await refusal({ tenant: undefined })).toMatchObject({ code: "loki_unauthorized", hint: expect.stringContaining("set tenant") });
    fake.store.rules.labelNames = 2;
    expect(await refusal()).toMatchObject({ code: "loki_push_refused", retry: "denied", hint: expect.stringContaining("labels_max") });
    fake.store.rules.metadata = false;
    fake.store.rules.labelNames = 15;
    expect(await refusal()).toMatchObject({ code: "loki_push_refused", hint: expect.stringContaining("metadata: none") });
    expect(await put(batchOf([{}]), { metadata: "none" })).toEqual({ outcome: "delivered" });
    fake.store.rules.wanted = ["team"];
    expect(await refusal({ metadata: "none" })).toMatchObject({ hint: expect.stringContaining("wants certain labels") });
  });

  test("413: the push is halved until it passes, nothing is lost", async () => {
    fake.bodyBytesMax = 2000;
    const records = numbered(300).map((record) => ({ ...record, message: `${record.message} ${Bun.hash(record.message ?? "").toString(36)}` }));
    expect(await put(batchOf(records))).toEqual({ outcome: "delivered" });
    expect(new Set(messages()).size).toBe(300);
    expect(fake.pushes.every(({ bytes }) => bytes <= 2000)).toBe(true);
  });

  test("a body that differs from the plan is not sent at all", async () => {
    const batch = batchOf(numbered(3));
    const failing: TestBatch = {
      ...batch,
      async *body() {
        yield* batch.body();
        throw new Error("differs");
      },
    };
    expect(
      await put(failing).then(
        () => "",
        (cause: unknown) => String(cause),
      ),
    ).toContain("differs");
    expect(fake.pushes).toHaveLength(0);
  });
});

describe("records that are refused for good", () => {
  test("are found among those that are stored, told by reason, and given up", async () => {
    const records = numbered(300);
    records[7] = { message: "too old", ms: -hours(24 * 30) };
    records[150] = { message: "ahead", ms: hours(2) };
    records[200] = { message: "x".repeat(5000), ms: 200 };
    fake.store.rules.lineBytes = 4000;
    const receipt = await put(batchOf(records), { concurrency: 1 });
    expect(receipt).toEqual({
      outcome: "delivered",
      refused: { reasons: { too_old: 1, too_far_ahead: 1, line_too_long: 1 }, example: expect.stringContaining("record 107: entry for stream") },
    });
    expect(new Set(messages()).size).toBe(297);
  });

  test("behind their stream too, which Loki tells per stream and not per entry", async () => {
    await put(batchOf([{ ms: 0, message: "newest" }]));
    const receipt = await put(batchOf([{ ms: -hours(2), message: "behind" }, { ms: -hours(0.9), message: "in time" }])); // prettier-ignore
    expect(receipt.refused?.reasons).toEqual({ too_far_behind: 1 });
    expect(messages()).toEqual(["in time", "newest"]);
  });

  test("are not what was stored already: a wide batch that is pushed again after a kill goes on where it was", async () => {
    const records = numbered(6).map((record, at) => ({ ...record, ms: -hours(12 - 2 * at) }));
    fake.script = { after: () => (fake.pushes.length === 3 ? { status: 502 } : undefined) };
    const batch = batchOf(records);
    expect(await refusal({}, batch)).toMatchObject({ code: "loki_server_error" });
    const note = batch.notes.at(-1);
    expect(await put(batchOf(records, { note }))).toEqual({ outcome: "delivered" });
    expect(messages()).toHaveLength(6);
  });

  test("are so many that it is not about them: held, all of it offered again, and it goes on once Loki takes them", async () => {
    const batch = batchOf(numbered(100).map((record, at) => ({ ...record, ms: at % 2 === 0 ? -hours(24 * 10) : at })));
    await using sink = await open();
    const fault = await faultOf(sink.put(batch, testSignals().signals));
    expect(fault).toMatchObject({ code: "sink_refuses_all", retry: "denied", hint: expect.stringContaining("when_refused: drop") });
    expect(fault.message).toContain("has timestamp too old");
    expect(await faultOf(sink.put(batch, testSignals().signals))).toMatchObject({ code: "sink_refuses_all" });
    fake.store.rules.oldNs *= 10n;
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
    expect(messages()).toHaveLength(100);
  });

  test("are given up however many, when that is wanted, with few requests", async () => {
    const records = numbered(1000).map((record, at) => ({ ...record, ms: at < 900 ? -hours(24 * 10) + at : at }));
    const receipt = await put(batchOf(records), { when_refused: "drop" });
    expect(receipt.refused?.reasons).toEqual({ too_old: 900 });
    expect(messages()).toHaveLength(100);
    expect(fake.pushes.length).toBeLessThan(10);
  });

  test("stand beside others that are held: those hold the batch", async () => {
    fake.store.rules.valueLength = 20;
    const records = [{ ms: -hours(24 * 30) }, { source: "x".repeat(30) }];
    expect(await refusal({ concurrency: 1 }, batchOf(records))).toMatchObject({ code: "loki_push_refused", retry: "denied" });
  });
});

describe("check", () => {
  const findings = (overrides: Record<string, unknown> = {}) => loki.check(config(overrides), { name: "logs", host: "edge-1", doors: systemDoors });

  for (const encoding of ["protobuf", "json"] as const) {
    test(`pushes nothing: ${encoding}`, async () => {
      expect(await findings({ encoding })).toEqual([{ ok: true, what: `push nothing to ${server.url}` }]);
      expect(fake.store.streams.size).toBe(0);
    });
  }

  test("says what is wrong, with its hint", async () => {
    const said = async (overrides: Record<string, unknown>): Promise<unknown> => (await findings(overrides))[0];
    expect(await said({ tenant: undefined })).toMatchObject({ ok: false, code: "loki_unauthorized", hint: expect.stringContaining("set tenant") });
    expect(await said({ bearer_token_file: dir.join("absent") })).toMatchObject({ code: "secret_unreadable" });
    expect(await said({ url: "http://127.0.0.1:1" })).toMatchObject({ code: "loki_unreachable" });
    fake.script = { before: () => ({ status: 260, text: "ingestion blocked" }) };
    expect(await said({})).toMatchObject({ code: "loki_ingestion_blocked" });
    const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("not here", { status: 404 }) });
    expect(await said({ url: other.url.href })).toMatchObject({ code: "loki_wrong_url" });
    await other.stop(true);
  });
});
