import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import * as v from "valibot";
import { receiverId, startReceiver } from "../../../test/support/receiver.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { testTls } from "../../../test/support/tls.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";
import { schema } from "./config.ts";
import { http } from "./source.ts";

const ndjson = { "Content-Type": "application/x-ndjson" };
const own = (message: string, source = "nginx"): string =>
  JSON.stringify({ timestamp: "2026-11-23T01:30:20.5Z", host: "edge-1", source, file: "/a", offset: 1, labels: { env: "prod" }, message });
const codeOf = async (answer: Response): Promise<[number, string]> => [answer.status, ((await answer.json()) as { code: string }).code];

test("NDJSON: 204 once it is durable, records of another logferry as they are, the receiver names itself", async () => {
  await using receiver = await startReceiver({ labels: { zone: "a" } });
  receiver.store.hold();
  let answered = false;
  const answer = receiver.post(`${own("a")}\n{"n":1}\n`, ndjson).finally(() => (answered = true));
  await until(() => receiver.store.pending === 1, "the body is on its way");
  expect(answered).toBe(false);
  receiver.store.release();
  expect((await answer).status).toBe(204);
  expect((await answer).headers.get("logferry-receiver")).toBe(receiverId);
  expect(receiver.store.records[0]).toEqual(JSON.parse(own("a")) as Record<string, unknown>);
  expect(receiver.store.records[1]).toMatchObject({ host: "central", source: "ingest", labels: { zone: "a" }, data: { n: 1 } });
});

test("every encoding: plain, zstd and gzip, of several frames and members", async () => {
  await using receiver = await startReceiver();
  const parts = [own("a"), own("b")].map((line) => Buffer.from(`${line}\n`));
  const bodies = { zstd: parts.map((part) => Bun.zstdCompressSync(part)), gzip: parts.map((part) => gzipSync(part)), identity: parts };
  for (const [encoding, frames] of Object.entries(bodies)) {
    const answer = await receiver.post(Buffer.concat(frames), { ...ndjson, "Content-Encoding": encoding });
    expect(answer.status).toBe(204);
  }
  expect(receiver.store.records.map((record) => record["message"])).toEqual(["a", "b", "a", "b", "a", "b"]);
});

test.each([
  ["application/json", '[{"a":1},\n {"a":2}]', [{ a: 1 }, { a: 2 }]],
  ["application/json; charset=utf-8", '{\n  "a": 1\n}', [{ a: 1 }]],
  ["application/json", '{"a":1}\n{"a":2}\n', [{ a: 1 }, { a: 2 }]],
  ["application/vnd.logs+json", '{"a":1}', [{ a: 1 }]],
  ["application/x-www-form-urlencoded", '  [{"a":1}]', [{ a: 1 }]],
  ["application/x-ndjson", '\ufeff{"a":1}\r\n\r\n{"a":2}', [{ a: 1 }, { a: 2 }]],
])("%s: %j", async (type, body, data) => {
  await using receiver = await startReceiver();
  expect((await receiver.post(body, { "Content-Type": type })).status).toBe(204);
  expect(receiver.store.records.map((record) => record["data"])).toEqual(data);
});

test.each([
  ["text/plain", 'a\r\n\nb "c"', ["a", 'b "c"']],
  ["text/plain", "[1] looks like JSON", ["[1] looks like JSON"]],
  ["text/plain; charset=ISO-8859-1", Uint8Array.from([0x63, 0x61, 0x66, 0xe9]), ["café"]],
  ["text/plain; charset=utf-8", Uint8Array.from([0x61, 0xff, 0x0a]), ["a\ufffd"]],
  ["text/plain", Buffer.from("\ufeffa\nb", "utf16le"), ["a", "b"]],
  ["application/octet-stream", "2026 GET /\n", ["2026 GET /"]],
])("%s: lines of text %#", async (type, body, messages) => {
  await using receiver = await startReceiver();
  expect((await receiver.post(body, { "Content-Type": type })).status).toBe(204);
  expect(receiver.store.records.map((record) => record["message"])).toEqual(messages);
});

test("a large text is stored in order, and lines beyond the bound are cut", async () => {
  await using receiver = await startReceiver({ line_bytes_max: "1KiB" });
  const lines = Array.from({ length: 30_000 }, (_, index) => `${index} ${"x".repeat(index % 100)}`);
  lines[7] = "y".repeat(5000);
  expect((await receiver.post(lines.join("\n"), { "Content-Type": "text/plain" })).status).toBe(204);
  expect(receiver.store.records[7]).toMatchObject({ truncated: true, message: "y".repeat(1024) });
  lines[7] = "y".repeat(1024);
  expect(receiver.store.records.map((record) => record["message"])).toEqual(lines);
});

test("one bad line: 400 with its number and the reason, and nothing of the body is stored", async () => {
  await using receiver = await startReceiver();
  const answer = await receiver.post(`${own("a")}\n${own("b")}\n{"a":}\n`, ndjson);
  expect(answer.status).toBe(400);
  expect(await answer.json()).toEqual({
    error: "line 3: expected a value (at byte 6 of the line)",
    code: "record_invalid",
    line: 3,
    hint: expect.stringContaining("nothing of the body was stored"),
  });
  expect(await codeOf(await receiver.post('[{"a":1},2]', { "Content-Type": "application/json" }))).toEqual([400, "record_invalid"]);
  expect(await codeOf(await receiver.post(Uint8Array.from([0x7b, 0xff, 0x7d]), ndjson))).toEqual([400, "record_invalid"]);
  expect(receiver.store.records).toEqual([]);
});

test("what is not for this place: 404 names the path, 405 and GET say what to do, 415 names what is known", async () => {
  await using receiver = await startReceiver();
  const elsewhere = await fetch(receiver.url.replace("/v1/records", "/v1/logs"), { method: "POST", body: "x" });
  expect(elsewhere.status).toBe(404);
  expect(await elsewhere.json()).toMatchObject({ code: "http_not_found", hint: "post records to /v1/records" });
  expect(elsewhere.headers.get("logferry-receiver")).toBe(receiverId);
  const put = await fetch(receiver.url, { method: "PUT", body: "x" });
  expect([put.status, put.headers.get("allow")]).toEqual([405, "POST, OPTIONS, GET, HEAD"]);
  expect(await (await fetch(receiver.url)).json()).toMatchObject({ accepting: true });
  expect((await fetch(receiver.url, { method: "HEAD" })).status).toBe(200);
  expect((await fetch(receiver.url, { method: "OPTIONS" })).status).toBe(204);
  expect(await codeOf(await receiver.post("x", { "Content-Encoding": "br" }))).toEqual([415, "http_encoding_unsupported"]);
  expect(await codeOf(await receiver.post("x", { "Content-Type": "application/x-protobuf" }))).toEqual([415, "http_type_unsupported"]);
  expect(await codeOf(await receiver.post("x", { "Content-Type": "text/plain; charset=klingon" }))).toEqual([415, "http_type_unsupported"]);
});

test("too large: as sent, without a length, decoded, or too many records; a bomb takes no memory", async () => {
  await using receiver = await startReceiver({ body_bytes_max: "64KiB" });
  expect(await codeOf(await receiver.post("x".repeat(65_537), { "Content-Type": "text/plain" }))).toEqual([413, "http_body_too_large"]);
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(10_000).fill(0x78));
    },
  });
  const endless = await fetch(receiver.url, { method: "POST", body: stream, headers: { "Content-Type": "text/plain" } }).catch(() => undefined);
  expect(endless === undefined || endless.status === 413).toBe(true);
  const bombs = [
    ["zstd", Bun.zstdCompressSync(Buffer.alloc(200 * 1024 * 1024))],
    ["gzip", gzipSync(Buffer.alloc(50 * 1024 * 1024))],
  ] as const;
  const before = process.memoryUsage.rss();
  for (const [encoding, bomb] of bombs) {
    expect(bomb.length).toBeLessThan(65_536);
    expect(await codeOf(await receiver.post(bomb, { ...ndjson, "Content-Encoding": encoding }))).toEqual([413, "http_body_too_large"]);
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(40 * 1024 * 1024);
  expect(await codeOf(await receiver.post("{}\n".repeat(2000), ndjson))).toEqual([413, "http_body_too_large"]);
  expect((await receiver.post("x".repeat(65_536), { "Content-Type": "text/plain" })).status).toBe(204);
});

test("damaged bodies are refused whole", async () => {
  await using receiver = await startReceiver();
  const frame = Bun.zstdCompressSync(Buffer.from(`${own("a")}\n`.repeat(100)));
  const gzip = gzipSync(`${own("a")}\n`.repeat(100));
  for (const [encoding, body] of [
    ["zstd", frame.subarray(0, frame.length - 3)],
    ["zstd", Buffer.concat([frame, Buffer.from("tail")])],
    ["zstd", Buffer.from("not zstd at all")],
    ["gzip", gzip.subarray(0, gzip.length - 3)],
    ["gzip", frame],
  ] as const) {
    expect(await codeOf(await receiver.post(body, { ...ndjson, "Content-Encoding": encoding }))).toEqual([400, "http_body_damaged"]);
  }
  expect(receiver.store.records).toEqual([]);
});

test("tokens: 401 without the right one, read again when the file changes, and nobody gets in while it is missing", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("token"), "first\n");
  await using receiver = await startReceiver({ bearer_token_file: dir.join("token") });
  const status = async (authorization?: string): Promise<number> =>
    (await receiver.post("x", authorization === undefined ? {} : { Authorization: authorization })).status;
  expect(await status()).toBe(401);
  expect(await status("Bearer wrong")).toBe(401);
  expect(await status("Basic first")).toBe(401);
  expect(await status("Bearer first")).toBe(204);
  expect((await fetch(receiver.url, { method: "OPTIONS" })).status).toBe(401);
  await writeFile(dir.join("token"), "second one is longer".replaceAll(" ", "-"));
  expect(await status("Bearer first")).toBe(401);
  expect(await status("bearer second-one-is-longer")).toBe(204);
  await rm(dir.join("token"));
  expect(await status("Bearer second-one-is-longer")).toBe(401);
  expect(receiver.board.reasons()).toMatchObject([{ component: "sources.ingest", code: "secret_unreadable", severity: "failing" }]);
  await writeFile(dir.join("token"), "third");
  expect(await status("Bearer third")).toBe(204);
  expect(receiver.board.reasons()).toEqual([]);
});

test("a token that is bound to sources brings no others: 403, nothing stored", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("a"), "token-a");
  await writeFile(dir.join("b"), "token-b");
  await using receiver = await startReceiver({
    tokens: [
      { name: "a", file: dir.join("a"), sources: ["nginx"] },
      { name: "b", file: dir.join("b") },
    ],
  });
  const post = (token: string, body: string) => receiver.post(body, { ...ndjson, Authorization: `Bearer ${token}` });
  expect((await post("token-a", own("1"))).status).toBe(204);
  expect(await codeOf(await post("token-a", `${own("2")}\n${own("3", "app")}`))).toEqual([403, "source_refused"]);
  expect(await codeOf(await post("token-a", '{"foreign":true}'))).toEqual([403, "source_refused"]);
  expect((await post("token-b", own("4", "app"))).status).toBe(204);
  expect(receiver.store.records.map((record) => record["message"])).toEqual(["1", "4"]);
});

test("503 with Retry-After, before anything is stored: a full spool, a source not running, a source that stops", async () => {
  await using receiver = await startReceiver();
  receiver.far.accepting = false;
  const full = await receiver.post("x");
  expect([full.headers.get("retry-after"), ...(await codeOf(full))]).toEqual(["5", 503, "http_not_accepting"]);
  await using idle = await startReceiver({}, { idle: true });
  const early = await idle.post("x");
  expect([early.headers.get("retry-after"), ...(await codeOf(early))]).toEqual(["1", 503, "http_not_ready"]);
});

test("stop waits for what was handed on and answers it, and not for a body that never comes", async () => {
  await using receiver = await startReceiver();
  receiver.store.hold();
  const answer = receiver.post("x");
  await until(() => receiver.store.pending === 1, "the body is on its way");
  const { port } = new URL(receiver.url);
  const slow = connect(Number(port), "127.0.0.1");
  slow.on("error", () => {}); // it is cut
  slow.write("POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
  let stopped = false;
  const stop = receiver.stop().then(() => (stopped = true));
  await until(async () => (await receiver.post("y").catch(() => undefined))?.status !== 204, "nothing new is taken");
  expect(stopped).toBe(false);
  receiver.store.release();
  expect((await answer).status).toBe(204);
  await stop;
  expect(receiver.store.records.length).toBe(1);
  slow.destroy();
});

test("too many bodies at once are refused before they are read, and the room comes back", async () => {
  await using receiver = await startReceiver();
  receiver.store.hold();
  const body = "x".repeat(12 * 1024 * 1024);
  const text = { "Content-Type": "text/plain", "Content-Encoding": "identity" };
  const held = Array.from({ length: 5 }, () => receiver.post(body, text));
  await until(() => receiver.store.pending >= 5, "five are held");
  expect(await codeOf(await receiver.post(body, text))).toEqual([503, "http_overloaded"]);
  receiver.store.release();
  expect((await Promise.all(held)).map((answer) => answer.status)).toEqual([204, 204, 204, 204, 204]);
  expect((await receiver.post(body, text)).status).toBe(204);
});

test("an answer that takes too long is 503, and says that the records may be there yet", async () => {
  const sleeps: number[] = [];
  const clock = {
    ...systemDoors.clock,
    sleep: (ms: number, ...signals: AbortSignal[]) => (sleeps.push(ms), ms === 100_000 ? Promise.resolve() : systemDoors.clock.sleep(ms, ...signals)),
  };
  await using receiver = await startReceiver({}, { doors: { clock } });
  receiver.store.hold();
  const answer = await receiver.post("x");
  expect([answer.headers.get("retry-after"), ...(await codeOf(answer))]).toEqual(["10", 503, "http_slow"]);
  receiver.store.release();
});

test("over TLS, with the certificate of the configuration", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("cert.pem"), testTls.server.cert);
  await writeFile(dir.join("key.pem"), testTls.server.key);
  await using receiver = await startReceiver({ tls: { cert_file: dir.join("cert.pem"), key_file: dir.join("key.pem") } });
  expect(receiver.url).toStartWith("https://127.0.0.1:");
  const answer = await fetch(receiver.url, { method: "POST", body: "x", tls: { ca: testTls.ca } });
  expect(answer.status).toBe(204);
});

test("a sender that asks first, as curl does with large bodies, is told to go on", async () => {
  await using receiver = await startReceiver();
  const { port } = new URL(receiver.url);
  const socket = connect(Number(port), "127.0.0.1");
  let heard = "";
  socket.on("data", (bytes) => (heard += bytes.toString()));
  socket.write("POST /v1/records HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 7\r\n\r\n");
  await until(() => heard.startsWith("HTTP/1.1 100 Continue\r\n\r\n"), "it is told to go on");
  socket.write("a line\n");
  await until(() => heard.includes("HTTP/1.1 204 "), "the body is taken");
  socket.destroy();
  expect(receiver.store.records.map((record) => record["message"])).toEqual(["a line"]);
});

test("an address in use ends the start, and check says so; so does a file that cannot be read", async () => {
  await using receiver = await startReceiver();
  const { host } = new URL(receiver.url);
  await expect(startReceiver({ listen: host })).rejects.toMatchObject({
    code: "http_listen_failed",
    retry: "never",
    message: `listen on ${host}: address already in use`,
  });
  await expect(startReceiver({ bearer_token_file: "/nonexistent/token" })).rejects.toMatchObject({ code: "secret_unreadable" });
  const config = v.parse(schema, { type: "http", listen: host, bearer_token_file: "/nonexistent/token" });
  const context = { name: "ingest", host: "central", doors: systemDoors };
  const findings = await http.check(config, context);
  expect(findings.map(({ ok, code }) => [ok, code])).toEqual([
    [false, "secret_unreadable"],
    [false, "http_listen_failed"],
  ]);
  expect(await http.check(v.parse(schema, { type: "http", listen: "127.0.0.1:0" }), context)).toEqual([{ ok: true, what: "listen on 127.0.0.1:0" }]);
});

test("listening for the network without a token is said in the log", async () => {
  await using open = await startReceiver({ listen: "0.0.0.0:0" });
  expect(open.log.join("\n")).toContain("anybody who reaches this address may send records");
  await using local = await startReceiver();
  expect(local.log).toEqual([]);
});

test("with once there is nothing to read: it returns and listens nowhere", async () => {
  await using receiver = await startReceiver({}, { once: true });
  await receiver.stop();
  expect(receiver.url).toBe("");
});

test("mistakes of the configuration are found by its schema", () => {
  const mistakes = (more: Record<string, unknown>): string[] =>
    (v.safeParse(schema, { type: "http", listen: "127.0.0.1:1", ...more }).issues ?? []).map((issue) => `${v.getDotPath(issue)} ${issue.message}`);
  const token = { name: "a", file: "/a" };
  expect(mistakes({})).toEqual([]);
  expect(mistakes({ bearer_token_file: "/a", tokens: [token] })).toEqual(["tokens must not be set together with bearer_token_file"]);
  expect(mistakes({ tokens: [token, { ...token, file: "/b" }] })).toEqual(["tokens must not name two tokens alike"]);
  expect(mistakes({ path: "v1" })).toEqual(["path must be a path that begins with /"]);
  expect(mistakes({ tls: { cert_file: "/c" } })).toHaveLength(1);
});

test("a body is compared with its digest as sent", async () => {
  await using receiver = await startReceiver();
  const body = Bun.zstdCompressSync(Buffer.from(own("a")));
  const digest = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  const headers = { ...ndjson, "Content-Encoding": "zstd" };
  expect(await codeOf(await receiver.post(body, { ...headers, "Logferry-Digest": digest.replace(/.$/, "g") }))).toEqual([400, "digest_mismatch"]);
  expect((await receiver.post(body, { ...headers, "Logferry-Digest": digest })).status).toBe(204);
});
