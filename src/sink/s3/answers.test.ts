/** What stores answer on bad days, or when they are not AWS: a scripted store on a real HTTP server. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import * as v from "valibot";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { createBoard } from "../../core/board.ts";
import type { Sink } from "../../core/contract.ts";
import { systemDoors, type Doors } from "../../core/doors.ts";
import type { Fault } from "../../core/fault.ts";
import { createLog } from "../../core/log.ts";
import { schema } from "./config.ts";
import { s3 } from "./sink.ts";

type Answer = (request: Request, body: Uint8Array) => Response | undefined | Promise<Response | undefined>;

let dir: Scratch;
let server: Bun.Server<undefined>;
let objects: Map<string, { digest: string; body: Uint8Array }>;
let requests: { method: string; path: string; headers: Headers }[];
let logged: string[];
/** Answers first; what it leaves undefined the store does as S3 does. */
let answer: Answer;

const error = (status: number, code: string, more = "", headers: Record<string, string> = {}): Response =>
  new Response(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>the words of the store</Message>${more}</Error>`, { status, headers });

function store(request: Request, path: string, body: Uint8Array): Response {
  const found = objects.get(path);
  if (request.method === "HEAD") return found === undefined ? new Response(null, { status: 404 }) : new Response(null, { headers: { "x-amz-meta-logferry-sha256": found.digest } });
  if (request.method === "DELETE") return new Response(null, { status: objects.delete(path) ? 204 : 204 });
  if (found !== undefined && request.headers.get("if-none-match") === "*") return error(412, "PreconditionFailed");
  objects.set(path, { digest: request.headers.get("x-amz-meta-logferry-sha256") ?? "", body });
  return new Response(null, { headers: { etag: '"e"' } });
}

beforeEach(async () => {
  dir = await scratch();
  await writeFile(dir.join("id"), "AKIDEXAMPLE");
  await writeFile(dir.join("secret"), "the-secret-itself");
  objects = new Map();
  requests = [];
  logged = [];
  answer = () => undefined;
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = new URL(request.url).pathname;
      requests.push({ method: request.method, path, headers: request.headers });
      const body = await request.bytes();
      return (await answer(request, body)) ?? store(request, path, body);
    },
  });
});

afterEach(async () => {
  await server.stop(true);
  await dir[Symbol.asyncDispose]();
});

const config = (overrides: Record<string, unknown> = {}) =>
  v.parse(schema, {
    type: "s3",
    bucket: "logs",
    endpoint: server.url.href,
    path_style: true,
    access_key_id_file: dir.join("id"),
    secret_access_key_file: dir.join("secret"),
    ...overrides,
  });

function open(overrides: Record<string, unknown> = {}, doors: Doors = systemDoors): Promise<Sink> {
  const log = createLog((line) => logged.push(line), { level: "debug", format: "json", now: Date.now });
  return s3.open(config(overrides), { name: "lake", host: "edge-1", spoolId: "0".repeat(32), doors, board: createBoard(log, Date.now), log });
}

const batchOf = (text: string) => testBatch([new TextEncoder().encode(text)]);

async function faultOf(put: Promise<unknown>): Promise<Fault> {
  return put.then(
    () => {
      throw new Error("no fault");
    },
    (cause: unknown) => cause as Fault,
  );
}

async function faultAfter(response: Answer, overrides: Record<string, unknown> = {}): Promise<Fault> {
  answer = response;
  await using sink = await open(overrides);
  return faultOf(sink.put(batchOf("x"), testSignals().signals));
}

describe("each answer has a verdict", () => {
  const rows: [status: number, code: string, fault: string, retry: string, hint: string][] = [
    [400, "ExpiredToken", "s3_token_expired", "later", "renewed"],
    [400, "TokenRefreshRequired", "s3_token_expired", "later", "renewed"],
    [403, "AccessDenied", "s3_access_denied", "denied", "s3:PutObject on logs/"],
    [403, "InvalidAccessKeyId", "s3_access_denied", "denied", "access key id"],
    [403, "RequestTimeTooSkewed", "s3_clock_skewed", "denied", "clock"],
    [404, "NoSuchBucket", "s3_no_such_bucket", "denied", "bucket logs"],
    [503, "SlowDown", "s3_slow_down", "later", "batch.bytes_max"],
    [429, "TooManyRequests", "s3_slow_down", "later", "batch.bytes_max"],
    [500, "InternalError", "s3_server_error", "later", "by itself"],
    [502, "", "s3_server_error", "later", "by itself"],
    [400, "RequestTimeout", "s3_server_error", "later", "by itself"],
    [409, "ConditionalRequestConflict", "s3_write_conflict", "later", "same moment"],
    [400, "BadDigest", "s3_damaged_on_the_way", "later", "proxy"],
    [301, "PermanentRedirect", "s3_wrong_region", "denied", "another region"],
    [400, "InvalidStorageClass", "s3_unexpected_answer", "denied", "message"],
    [418, "", "s3_unexpected_answer", "denied", "message"],
  ];
  for (const [status, code, fault, retry, hint] of rows) {
    test(`${status} ${code}: ${fault}, ${retry}`, async () => {
      const found = await faultAfter(() => error(status, code));
      expect(found).toMatchObject({ code: fault, retry });
      expect(found.hint).toContain(hint);
      expect(found.message).toContain(`answered ${status}`);
      expect(found.message).not.toContain("the-secret-itself");
      expect(requests).toHaveLength(1);
    });
  }

  test("the store's words are in the message", async () => {
    expect((await faultAfter(() => error(400, "InvalidStorageClass"))).message).toEndWith("answered 400 InvalidStorageClass: the words of the store");
  });

  test("Retry-After is passed on", async () => {
    expect((await faultAfter(() => error(503, "SlowDown", "", { "retry-after": "7" }))).waitMs).toBe(7000);
  });

  test("the bucket's own region is named", async () => {
    expect((await faultAfter(() => error(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"))).hint).toContain("set region: eu-west-1");
    expect((await faultAfter(() => error(301, "PermanentRedirect", "", { "x-amz-bucket-region": "eu-north-1" }))).hint).toContain("set region: eu-north-1");
  });

  test("an answer that is not S3's is one too", async () => {
    expect(await faultAfter(() => new Response("<html>Bad Gateway</html>", { status: 502 }))).toMatchObject({ code: "s3_server_error", retry: "later" });
    expect(await faultAfter(() => new Response("go away", { status: 403 }))).toMatchObject({ code: "s3_access_denied", retry: "denied" });
  });
});

describe("no answer", () => {
  test("a connection that is cut", async () => {
    using cutting = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (socket) => void socket.end() } });
    const fault = await faultAfter(() => undefined, { endpoint: `http://127.0.0.1:${cutting.port}` });
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later" });
    expect(fault.message).toContain("cut by the other side");
  });

  test("a name that does not exist", async () => {
    const fault = await faultAfter(() => undefined, { endpoint: "http://no-such-host.invalid" });
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later" });
    expect(fault.message).toContain("host name not found");
  });

  test("an answer that does not come: the time is up, by the clock door", async () => {
    const { promise: never, resolve } = Promise.withResolvers<undefined>();
    answer = () => never;
    const clock = { ...systemDoors.clock, sleep: async (_ms: number, ...signals: AbortSignal[]) => systemDoors.clock.sleep(50, ...signals) };
    await using sink = await open({}, { ...systemDoors, clock });
    const fault = await faultOf(sink.put(batchOf("x"), testSignals().signals));
    resolve(undefined);
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later" });
    expect(fault.message).toContain("no answer within 60 s");
  });

  test("kill cuts a put that waits", async () => {
    const { promise: never, resolve } = Promise.withResolvers<undefined>();
    const { signals, kill } = testSignals();
    answer = () => {
      kill.abort();
      return never;
    };
    await using sink = await open();
    const fault = await faultOf(sink.put(batchOf("x"), signals));
    resolve(undefined);
    expect(fault.message).toContain("cut by shutdown");
  });
});

describe("conditional writes", () => {
  test("of ten writers at once with ten contents, one is delivered and nine are forked", async () => {
    await using sink = await open();
    const receipts = await Promise.all(Array.from({ length: 10 }, (_, index) => sink.put(batchOf(`writer ${index}`), testSignals().signals)));
    expect(receipts.filter(({ outcome }) => outcome === "delivered")).toHaveLength(1);
    expect([...objects.values()]).toHaveLength(1);
  });

  test("a store without them is looked at first, and said so once", async () => {
    answer = (request) => (request.headers.has("if-none-match") ? error(501, "NotImplemented") : undefined);
    await using sink = await open();
    const { signals } = testSignals();
    expect(await sink.put(batchOf("mine"), signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(batchOf("mine"), signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(batchOf("other"), signals)).toEqual({ outcome: "forked" });
    expect(requests.map(({ method }) => method)).toEqual(["PUT", "HEAD", "PUT", "HEAD", "HEAD"]);
    expect(logged.filter((line) => line.includes("conditional writes"))).toHaveLength(1);
    expect(new TextDecoder().decode([...objects.values()][0]!.body)).toBe("mine");
  });

  test("a store that lacks something else is not taken for one without them", async () => {
    answer = (request) => (request.method === "PUT" ? error(501, "NotImplemented") : undefined);
    await using sink = await open({ storage_class: "GLACIER" });
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "s3_unexpected_answer", retry: "denied", hint: expect.stringContaining("storage_class") });
    expect(logged).toEqual([]);
  });

  test("an object that may be there but must not be looked at is never counted as delivered", async () => {
    answer = (request) => (request.method === "HEAD" ? new Response(null, { status: 403 }) : error(412, "PreconditionFailed"));
    await using sink = await open();
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "s3_access_denied", retry: "denied", hint: expect.stringContaining("s3:GetObject") });
  });

  test("an object that was there and is gone: later", async () => {
    answer = (request) => (request.method === "PUT" ? error(412, "PreconditionFailed") : undefined);
    await using sink = await open();
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "s3_write_conflict", retry: "later" });
  });
});

describe("checksums", () => {
  test("the body's SHA-256 is signed, and no second checksum is sent", async () => {
    await using sink = await open();
    const batch = batchOf("x");
    await sink.put(batch, testSignals().signals);
    const { headers } = requests[0]!;
    expect(headers.get("x-amz-content-sha256")).toBe(batch.digest);
    expect(headers.get("authorization")).toContain("x-amz-content-sha256");
    expect([...headers.keys()].filter((name) => /checksum|md5|trailer|expect/.test(name))).toEqual([]);
  });

  test("a bucket with Object Lock gets Content-MD5, from the first answer that asks for it on", async () => {
    answer = (request) =>
      request.method === "PUT" && !request.headers.has("content-md5")
        ? error(400, "InvalidRequest").text().then((text) => new Response(text.replace("the words of the store", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"), { status: 400 }))
        : undefined;
    await using sink = await open();
    const { signals } = testSignals();
    await sink.put(batchOf("x"), signals);
    await sink.put({ ...batchOf("y"), name: "second.ndjson.zst" }, signals);
    expect(requests).toHaveLength(3);
    expect(requests[2]!.headers.get("content-md5")).toBe(createHash("md5").update("y").digest("base64"));
  });
});

describe("objects in parts", () => {
  const large = () => testBatch([new Uint8Array(6 * 2 ** 20)]);
  const begun = (request: Request): Response | undefined => {
    const url = new URL(request.url);
    if (request.method === "POST" && url.searchParams.has("uploads")) return new Response("<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>");
    if (request.method === "PUT" && url.searchParams.has("partNumber")) return new Response(null, { headers: { etag: '"p"' } });
    return undefined;
  };

  test("a failure that comes as a 200 is a failure", async () => {
    answer = (request) => begun(request) ?? (request.method === "POST" ? error(200, "InternalError") : undefined);
    await using sink = await open({ part_bytes: "5MiB" });
    expect(await faultOf(sink.put(large(), testSignals().signals))).toMatchObject({ code: "s3_server_error", retry: "later" });
  });

  test("an upload the store forgot in the middle is begun anew by the next try", async () => {
    answer = (request) => (new URL(request.url).searchParams.get("partNumber") === "2" ? error(404, "NoSuchUpload") : begun(request));
    await using sink = await open({ part_bytes: "5MiB" });
    expect(await faultOf(sink.put(large(), testSignals().signals))).toMatchObject({ code: "s3_upload_gone", retry: "later" });
  });

  test("an upload the store forgot because it was completed is delivered", async () => {
    const batch = large();
    answer = (request) => {
      if (request.method !== "POST" || new URL(request.url).searchParams.has("uploads")) return begun(request);
      objects.set(new URL(request.url).pathname, { digest: batch.digest, body: new Uint8Array(0) });
      return error(404, "NoSuchUpload");
    };
    await using sink = await open({ part_bytes: "5MiB" });
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
  });

  test("an old upload that may not be aborted is left, and said so", async () => {
    answer = (request) => {
      if (request.method === "DELETE") return error(403, "AccessDenied");
      if (request.method === "POST" && !new URL(request.url).searchParams.has("uploads")) return new Response("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>");
      return begun(request);
    };
    await using sink = await open({ part_bytes: "5MiB" });
    expect(await sink.put({ ...large(), note: { upload: "old" } }, testSignals().signals)).toEqual({ outcome: "delivered" });
    expect(logged.join()).toContain("s3:AbortMultipartUpload");
  });

  test("tags, class and encryption are asked for with each object, whole or in parts", async () => {
    answer = begun;
    await using sink = await open({ part_bytes: "5MiB", storage_class: "STANDARD_IA", sse: "aws:kms", sse_kms_key_id: "k-1", tags: { team: "a b" } });
    await sink.put(batchOf("x"), testSignals().signals);
    await faultOf(sink.put(large(), testSignals().signals)); // the scripted store does not complete uploads
    for (const { headers } of requests.slice(0, 2)) {
      expect(headers.get("x-amz-storage-class")).toBe("STANDARD_IA");
      expect(headers.get("x-amz-server-side-encryption")).toBe("aws:kms");
      expect(headers.get("x-amz-server-side-encryption-aws-kms-key-id")).toBe("k-1");
      expect(headers.get("x-amz-tagging")).toBe("team=a+b");
    }
  });
});

describe("credentials of the standard chain", () => {
  const kept = { ...process.env };
  const chain = async (environment: Record<string, string>, overrides: Record<string, unknown> = {}): Promise<Sink> => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
    const files = { AWS_CONFIG_FILE: dir.join("absent"), AWS_SHARED_CREDENTIALS_FILE: dir.join("absent"), AWS_EC2_METADATA_DISABLED: "true" };
    Object.assign(process.env, files, environment);
    return open({ access_key_id_file: undefined, secret_access_key_file: undefined, ...overrides });
  };
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
    Object.assign(process.env, kept);
  });

  test("from the environment", async () => {
    await using sink = await chain({ AWS_ACCESS_KEY_ID: "AKIDFROMENV", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" });
    await sink.put(batchOf("x"), testSignals().signals);
    expect(requests[0]!.headers.get("authorization")).toContain("Credential=AKIDFROMENV/");
    expect(requests[0]!.headers.get("x-amz-security-token")).toBe("t");
  });

  test("from a profile", async () => {
    await writeFile(dir.join("credentials"), "[logs]\naws_access_key_id = AKIDFROMFILE\naws_secret_access_key = s\n");
    await using sink = await chain({ AWS_SHARED_CREDENTIALS_FILE: dir.join("credentials"), AWS_PROFILE: "logs" });
    await sink.put(batchOf("x"), testSignals().signals);
    expect(requests[0]!.headers.get("authorization")).toContain("Credential=AKIDFROMFILE/");
  });

  test("nowhere: denied, with the chain in the hint", async () => {
    await using sink = await chain({});
    const fault = await faultOf(sink.put(batchOf("x"), testSignals().signals));
    expect(fault).toMatchObject({ code: "s3_no_credentials", retry: "denied", hint: expect.stringContaining("AWS_ACCESS_KEY_ID") });
    expect(requests).toEqual([]);
  });

  test("no region for AWS: denied, and what to set", async () => {
    await using sink = await chain({}, { endpoint: undefined });
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "s3_no_region", retry: "denied" });
  });
});

describe("check", () => {
  const context = () => ({ name: "lake", host: "edge-1", doors: systemDoors });

  test("tells stores apart that refuse, ignore and know conditional writes", async () => {
    const words = async (): Promise<string> => (await s3.check(config(), context()))[0]!.what;
    expect(await words()).toBe("write an object below the root in bucket logs");
    answer = (request) => (request.headers.has("if-none-match") ? error(501, "NotImplemented") : undefined);
    expect(await words()).toContain("looked for before");
    answer = (request, body) => {
      request.headers.delete("if-none-match");
      return store(request, new URL(request.url).pathname, body);
    };
    expect(await words()).toContain("ignores If-None-Match");
  });

  test("a policy that only lets write is told what it lacks", async () => {
    answer = (request) => (request.method === "PUT" ? undefined : new Response(null, { status: 403 }));
    const findings = await s3.check(config(), context());
    expect(findings.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(findings[1]!.hint).toContain("s3:GetObject");
    expect(findings[2]!.what).toContain("delivery does not need s3:DeleteObject");
  });
});
