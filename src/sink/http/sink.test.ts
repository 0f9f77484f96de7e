import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import * as v from "valibot";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { faultOf } from "../../../test/support/store.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { testTls } from "../../../test/support/tls.ts";
import { createBoard, type Board } from "../../core/board.ts";
import type { Batch, Codec, Sink } from "../../core/contract.ts";
import { systemDoors } from "../../core/doors.ts";
import { silent } from "../../core/log.ts";
import { schema } from "./config.ts";
import { http } from "./sink.ts";

const spoolId = "0123456789abcdef0123456789abcdef";
let dir: Scratch;
let server: Bun.Server<undefined>;
let board: Board;
let requests: { method: string; path: string; headers: Headers; body: Uint8Array }[];
let answer: (request: Request) => Response | Promise<Response>;

beforeEach(async () => {
  dir = await scratch();
  board = createBoard(silent, Date.now);
  requests = [];
  answer = () => new Response(null, { status: 204 });
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      requests.push({ method: request.method, path: new URL(request.url).pathname, headers: request.headers, body: await request.bytes() });
      return answer(request);
    },
  });
});

afterEach(async () => {
  await server.stop(true);
  await dir[Symbol.asyncDispose]();
});

const config = (overrides: Record<string, unknown> = {}) => v.parse(schema, { type: "http", url: `${server.url.href}v1/records`, ...overrides });

const open = (overrides: Record<string, unknown> = {}): Promise<Sink> =>
  http.open(config(overrides), { name: "central", host: "edge-1", spoolId, doors: systemDoors, board, log: silent });

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const batchOf = (...pieces: string[]) => testBatch(pieces.map(bytesOf), { lane: "2", number: 7, epoch: "0badcafe", codec: "none", ranges: [[100, 104], [106, 112]] }); // prettier-ignore
const framed = async (codec: Codec, ...pieces: string[]) => {
  const { compress } = systemDoors;
  const frames = await Promise.all(pieces.map((piece) => (codec === "zstd" ? compress.zstd(bytesOf(piece), 1) : compress.gzip(bytesOf(piece), 1))));
  return testBatch(frames, { lane: "2", codec });
};
const wholeOf = (batch: Batch): Promise<Uint8Array> => Array.fromAsync(batch.body()).then((pieces) => Buffer.concat(pieces));
const put = async (overrides: Record<string, unknown> = {}) => {
  await using sink = await open(overrides);
  return await faultOf(sink.put(batchOf("x\n"), testSignals().signals));
};
const logferry = (id: string, init: ResponseInit = { status: 204 }, text: string | null = null): Response =>
  new Response(text, { ...init, headers: { "logferry-receiver": id } });

describe("a request", () => {
  test("carries the body as planned, and tells which batch it is", async () => {
    await using sink = await open({ headers: { "X-Team": "a b" } });
    const batch = batchOf("one\n", "two\n");
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
    const { method, path, headers, body } = requests[0]!;
    expect([method, path, Buffer.from(body).toString()]).toEqual(["POST", "/v1/records", "one\ntwo\n"]);
    expect(Object.fromEntries(headers)).toMatchObject({
      "content-type": "application/x-ndjson",
      "idempotency-key": "0123456789abcdef-0badcafe-100-112",
      "logferry-records": "12",
      "logferry-batch": `${spoolId}/0badcafe/central/2/7`,
      "logferry-digest": `sha256:${batch.digest}`,
      "x-team": "a b",
      "user-agent": expect.stringMatching(/^logferry\//),
    });
    expect(headers.has("content-encoding")).toBe(false);
  });

  for (const codec of ["zstd", "gzip"] as const) {
    test(`names its encoding: ${codec}`, async () => {
      await using sink = await open();
      await sink.put(await framed(codec, "one\n"), testSignals().signals);
      expect(requests[0]!.headers.get("content-encoding")).toBe(codec);
    });
  }

  test("has the token of the file, read again when it changes", async () => {
    await writeFile(dir.join("token"), "first\n");
    await using sink = await open({ bearer_token_file: dir.join("token") });
    const { signals } = testSignals();
    await sink.put(batchOf("x"), signals);
    await writeFile(dir.join("token"), "second token\n");
    expect(await faultOf(sink.put(batchOf("x"), signals))).toMatchObject({ code: "http_unauthorized", retry: "denied" });
    await writeFile(dir.join("token"), "third\n");
    await sink.put(batchOf("x"), signals);
    expect(requests.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer first", "Bearer third"]);
  });

  test("has user and password", async () => {
    await writeFile(dir.join("password"), "p:ü\n");
    await using sink = await open({ basic: { username: "u", password_file: dir.join("password") } });
    await sink.put(batchOf("x"), testSignals().signals);
    expect(requests[0]!.headers.get("authorization")).toBe(`Basic ${Buffer.from("u:p:ü").toString("base64")}`);
  });

  test("goes through the proxy of the environment", async () => {
    process.env["HTTP_PROXY"] = server.url.href;
    try {
      await using sink = await open({ url: "http://ingest.invalid/v1/records" });
      expect(await sink.put(batchOf("x"), testSignals().signals)).toEqual({ outcome: "delivered" });
      expect(requests[0]!.headers.get("host")).toBe("ingest.invalid");
    } finally {
      delete process.env["HTTP_PROXY"];
    }
  });
});

describe("each answer has a verdict", () => {
  const rows: [status: number, code: string, retry: string][] = [
    [400, "http_refused", "poison"],
    [413, "http_refused", "poison"],
    [422, "http_refused", "poison"],
    [401, "http_unauthorized", "denied"],
    [403, "http_unauthorized", "denied"],
    [407, "http_unauthorized", "denied"],
    [301, "http_wrong_url", "denied"],
    [308, "http_wrong_url", "denied"],
    [404, "http_wrong_url", "denied"],
    [405, "http_wrong_url", "denied"],
    [409, "http_unexpected_answer", "denied"],
    [415, "http_unexpected_answer", "denied"],
    [418, "http_unexpected_answer", "denied"],
    [408, "http_busy", "later"],
    [425, "http_busy", "later"],
    [429, "http_busy", "later"],
    [503, "http_busy", "later"],
    [500, "http_server_error", "later"],
    [502, "http_server_error", "later"],
    [507, "http_server_error", "later"],
  ];
  for (const [status, code, retry] of rows) {
    test(`${status}: ${code}, ${retry}`, async () => {
      answer = () => new Response("", { status });
      const fault = await put();
      expect(fault).toMatchObject({ code, retry, message: expect.stringContaining(`/v1/records: answered ${status}`) });
      expect(fault.hint).not.toBe("");
      expect(requests).toHaveLength(1);
    });
  }

  test("any 2xx is a delivery", async () => {
    await using sink = await open();
    for (const status of [200, 201, 202, 204, 299]) {
      answer = () => new Response(null, { status });
      expect(await sink.put(batchOf("x"), testSignals().signals)).toEqual({ outcome: "delivered" });
    }
  });

  test("the receiver's words are in the message: bounded, and without control characters", async () => {
    answer = () => new Response(`line 3:\r\n\u001b[31m${"no object ".repeat(1000)}`, { status: 400 });
    const { message } = await put();
    expect(message).toContain("answered 400: line 3: [31mno object no object");
    expect(message.length).toBeLessThan(500);
  });

  test("Retry-After is passed on, as seconds and as a date", async () => {
    answer = () => new Response(null, { status: 429, headers: { "retry-after": "7" } });
    expect((await put()).waitMs).toBe(7000);
    answer = () => new Response(null, { status: 503, headers: { "retry-after": new Date(Date.now() + 30_000).toUTCString() } });
    const { waitMs } = await put();
    expect(waitMs).toBeGreaterThan(25_000);
    expect(waitMs).toBeLessThan(31_000);
  });

  test("a redirect is not followed; the hint names where to, without its query", async () => {
    answer = () => Response.redirect(`${server.url.href}elsewhere?key=secret`, 307);
    const fault = await put();
    expect(fault.hint).toContain(`${server.url.href}elsewhere;`);
    expect(fault.hint).not.toContain("secret");
    expect(requests).toHaveLength(1);
  });

  test("a key in the URL's query is sent and never shown", async () => {
    answer = () => new Response(null, { status: 500 });
    const fault = await put({ url: `${server.url.href}v1/records?key=secret` });
    expect(`${fault.message} ${fault.hint}`).not.toContain("secret");
  });
});

describe("no answer", () => {
  test("nobody listens", async () => {
    expect(await put({ url: "http://127.0.0.1:1/" })).toMatchObject({
      code: "http_unreachable",
      retry: "later",
      message: "reach http://127.0.0.1:1/: connection refused",
    });
  });

  test("the name does not exist", async () => {
    expect((await put({ url: "http://no-such-host.invalid/" })).message).toEndWith(": host name not found");
  });

  test("the connection is cut in the middle of an answer", async () => {
    const socket = { data: (from: Bun.Socket) => void from.end("HTTP/1.1 204 No Content\r\nContent-Le") };
    using cutting = Bun.listen({ hostname: "127.0.0.1", port: 0, socket });
    expect(await put({ url: `http://127.0.0.1:${cutting.port}/` })).toMatchObject({ code: "http_unreachable", retry: "later" });
  });

  test("it does not come within the timeout", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    answer = () => promise;
    const fault = await put({ timeout: "100ms" });
    resolve(new Response());
    expect(fault).toMatchObject({ code: "http_unreachable", retry: "later" });
    expect(fault.message).toEndWith("no answer within 0.1 s");
  });

  test("kill cuts a put that waits", async () => {
    const { promise, resolve } = Promise.withResolvers<Response>();
    const { signals, kill } = testSignals();
    answer = () => {
      kill.abort();
      return promise;
    };
    await using sink = await open();
    const fault = await faultOf(sink.put(batchOf("x"), signals));
    resolve(new Response());
    expect(fault.message).toEndWith("cut by shutdown");
  });

  test("a secret file is missing", async () => {
    expect(await put({ bearer_token_file: dir.join("absent") })).toMatchObject({ code: "secret_unreadable", retry: "denied" });
    expect(requests).toEqual([]);
  });
});

describe("TLS", () => {
  const serve = (tls: Bun.TLSOptions): Bun.Server<undefined> =>
    Bun.serve({ port: 0, hostname: "127.0.0.1", tls: { ...testTls.server, ...tls }, fetch: () => new Response(null, { status: 204 }) });

  test("an issuer that is not trusted is named as the reason, and trusted with ca_file", async () => {
    await using secure = serve({});
    const url = `https://127.0.0.1:${secure.port}/`;
    const fault = await put({ url });
    expect(fault).toMatchObject({ code: "http_unreachable", retry: "later" });
    expect(fault.message).toMatch(/certificate .*not trusted/);
    await writeFile(dir.join("ca"), testTls.ca);
    await using sink = await open({ url, tls: { ca_file: dir.join("ca") } });
    expect(await sink.put(batchOf("x"), testSignals().signals)).toEqual({ outcome: "delivered" });
  });

  test("a client certificate is shown", async () => {
    await using secure = serve({ ca: testTls.ca, requestCert: true, rejectUnauthorized: true });
    const url = `https://127.0.0.1:${secure.port}/`;
    await writeFile(dir.join("ca"), testTls.ca);
    await writeFile(dir.join("cert"), testTls.client.cert);
    await writeFile(dir.join("key"), testTls.client.key);
    expect(await put({ url, tls: { ca_file: dir.join("ca") } })).toMatchObject({ code: "http_unreachable" });
    await using sink = await open({ url, tls: { ca_file: dir.join("ca"), cert_file: dir.join("cert"), key_file: dir.join("key") } });
    expect(await sink.put(batchOf("x"), testSignals().signals)).toEqual({ outcome: "delivered" });
  });
});

describe("who receives", () => {
  const { compress } = systemDoors;

  test("one frame a body, until a logferry has answered", async () => {
    await using sink = await open();
    expect(sink.framesMax!()).toBe(1);
    await sink.put(await framed("zstd", "one\n"), testSignals().signals);
    expect(sink.framesMax!()).toBe(1);
    answer = () => logferry("a");
    await sink.put(await framed("zstd", "one\n"), testSignals().signals);
    expect(sink.framesMax!()).toBe(15);
    const batch = await framed("zstd", "one\n", "two\n");
    await sink.put(batch, testSignals().signals);
    expect(Buffer.compare(requests[2]!.body, await wholeOf(batch))).toBe(0);
    expect(requests[2]!.headers.get("logferry-digest")).toBe(`sha256:${batch.digest}`);
    expect(board.reasons()).toEqual([]);
  });

  test("several frames planned before a restart go out as planned, once OPTIONS has found a logferry", async () => {
    answer = () => logferry("a");
    await using sink = await open();
    const batch = await framed("zstd", "one\n", "two\n");
    await sink.put(batch, testSignals().signals);
    expect(requests.map(({ method }) => method)).toEqual(["OPTIONS", "POST"]);
    expect(requests[1]!.headers.get("logferry-digest")).toBe(`sha256:${batch.digest}`);
    expect(board.reasons()).toEqual([]);
  });

  for (const codec of ["zstd", "gzip"] as const) {
    test(`several frames planned before a restart are joined for any other receiver: ${codec}`, async () => {
      answer = (request) => new Response(null, { status: request.method === "OPTIONS" ? 405 : 200 });
      await using sink = await open();
      const batch = await framed(codec, "one\n", "two\n");
      expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
      const { body, headers } = requests[1]!;
      expect(Buffer.from(codec === "zstd" ? await compress.unzstd(body) : await compress.gunzip(body, 100)).toString()).toBe("one\ntwo\n");
      if (codec === "gzip") expect(Buffer.from(Bun.gunzipSync(new Uint8Array(body))).toString()).toBe("one\ntwo\n"); // stops after the first member
      expect(headers.has("logferry-batch")).toBe(false);
      expect(board.reasons()).toMatchObject([{ component: "sinks.central", code: "http_receiver_changed", severity: "degraded" }]);
    });
  }

  test("a receiver that turns out to be no logferry gets the body again, in one frame", async () => {
    await using sink = await open();
    answer = () => logferry("a");
    await sink.put(await framed("zstd", "one\n"), testSignals().signals);
    answer = () => new Response(null, { status: 200 });
    expect(await sink.put(await framed("zstd", "one\n", "two\n"), testSignals().signals)).toEqual({ outcome: "delivered" });
    expect(requests).toHaveLength(3);
    expect(board.reasons()).toMatchObject([{ code: "http_receiver_changed" }]);
    expect(sink.framesMax!()).toBe(1);
  });

  test("another logferry is said, and forgotten after a hundred steady deliveries", async () => {
    await using sink = await open();
    answer = () => logferry("a");
    await sink.put(batchOf("x"), testSignals().signals);
    answer = () => logferry("b");
    await sink.put(batchOf("x"), testSignals().signals);
    expect(board.reasons()).toMatchObject([{ code: "http_receiver_changed", message: expect.stringContaining("another logferry") }]);
    for (let count = 0; count < 100; count++) await sink.put(batchOf("x"), testSignals().signals);
    expect(board.reasons()).toEqual([]);
  });

  test("an error without the header, as a proxy makes it, changes nothing", async () => {
    await using sink = await open();
    answer = () => logferry("a");
    await sink.put(batchOf("x"), testSignals().signals);
    answer = () => new Response("bad gateway", { status: 502 });
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "http_server_error" });
    expect(sink.framesMax!()).toBe(15);
    expect(board.reasons()).toEqual([]);
  });

  test("who stands there cannot be asked: later", async () => {
    answer = () => new Response(null, { status: 503 });
    await using sink = await open();
    expect(await faultOf(sink.put(await framed("zstd", "one\n", "two\n"), testSignals().signals))).toMatchObject({
      code: "http_busy",
      retry: "later",
    });
    expect(requests.map(({ method }) => method)).toEqual(["OPTIONS"]);
  });

  test("a 409 of a logferry that has exactly this batch is a delivery, any other is forked", async () => {
    await using sink = await open();
    const batch = batchOf("x");
    const said = { epoch: batch.epoch, number: batch.number, digest: `sha256:${batch.digest}` };
    const answers: [text: string, outcome: string][] = [
      [JSON.stringify(said), "delivered"],
      [JSON.stringify({ ...said, number: 3 }), "forked"],
      [JSON.stringify({ ...said, digest: "sha256:00" }), "forked"],
      ["[]", "forked"],
      ["not JSON", "forked"],
    ];
    for (const [text, outcome] of answers) {
      answer = () => logferry("a", { status: 409 }, text);
      expect(await sink.put(batch, testSignals().signals)).toMatchObject({ outcome });
    }
  });
});

describe("check", () => {
  const findings = (overrides: Record<string, unknown> = {}) =>
    http.check(config(overrides), { name: "central", host: "edge-1", doors: systemDoors });

  test("stores nothing and says what it found", async () => {
    answer = () => logferry("a");
    expect(await findings()).toEqual([{ ok: true, what: `reach ${server.url.href}v1/records (answers, a logferry)` }]);
    expect(requests.map(({ method, body }) => [method, body.length])).toEqual([["OPTIONS", 0]]);
    answer = () => new Response(null, { status: 405 });
    expect((await findings())[0]).toMatchObject({ ok: true, what: expect.stringContaining("the first delivery will tell") });
  });

  test("says what is wrong with its hint", async () => {
    for (const [status, code] of [
      [401, "http_unauthorized"],
      [404, "http_wrong_url"],
      [308, "http_wrong_url"],
      [503, "http_busy"],
      [500, "http_server_error"],
    ] as const) {
      // prettier-ignore
      answer = () => new Response(null, { status });
      expect(await findings()).toMatchObject([{ ok: false, code, hint: expect.stringMatching(/./) }]);
    }
    expect(await findings({ url: "http://127.0.0.1:1/" })).toMatchObject([
      { ok: false, code: "http_unreachable", message: expect.stringContaining("connection refused") },
    ]);
    expect(await findings({ bearer_token_file: dir.join("absent") })).toMatchObject([{ ok: false, code: "secret_unreadable" }]);
  });
});
