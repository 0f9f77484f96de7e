/** What stores answer on bad days, or when they are not AWS. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { testSignals } from "../../../test/support/batch.ts";
import { batchOf, faultOf, startStore, storeError, type ScriptedStore } from "../../../test/support/store.ts";
import type { Sink } from "../../core/contract.ts";
import { systemDoors } from "../../core/doors.ts";

let store: ScriptedStore;
beforeEach(async () => {
  store = await startStore();
});
afterEach(() => store[Symbol.asyncDispose]());

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
      const found = await store.faultAfter(() => storeError(status, code));
      expect(found).toMatchObject({ code: fault, retry });
      expect(found.hint).toContain(hint);
      expect(found.message).toContain(`answered ${status}`);
      expect(found.message).not.toContain("the-secret-itself");
      expect(store.requests).toHaveLength(1);
    });
  }

  test("the store's words are in the message", async () => {
    expect((await store.faultAfter(() => storeError(400, "InvalidStorageClass"))).message).toEndWith(
      "answered 400 InvalidStorageClass: the words of the store",
    );
  });

  test("Retry-After is passed on", async () => {
    expect((await store.faultAfter(() => storeError(503, "SlowDown", "", { "retry-after": "7" }))).waitMs).toBe(7000);
  });

  test("the bucket's own region is named", async () => {
    expect((await store.faultAfter(() => storeError(400, "AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"))).hint).toContain(
      "set region: eu-west-1",
    );
    expect((await store.faultAfter(() => storeError(301, "PermanentRedirect", "", { "x-amz-bucket-region": "eu-north-1" }))).hint).toContain(
      "set region: eu-north-1",
    );
  });

  test("an answer that is not S3's is one too", async () => {
    expect(await store.faultAfter(() => new Response("<html>Bad Gateway</html>", { status: 502 }))).toMatchObject({
      code: "s3_server_error",
      retry: "later",
    });
    expect(await store.faultAfter(() => new Response("go away", { status: 403 }))).toMatchObject({ code: "s3_access_denied", retry: "denied" });
  });
});

describe("no answer", () => {
  test("a connection that is cut", async () => {
    using cutting = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: (socket) => void socket.end() } });
    const fault = await store.faultAfter(() => undefined, { endpoint: `http://127.0.0.1:${cutting.port}` });
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later" });
    expect(fault.message).toContain("cut by the other side");
  });

  test("a name that does not exist", async () => {
    const fault = await store.faultAfter(() => undefined, { endpoint: "http://no-such-host.invalid" });
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later" });
    expect(fault.message).toContain("host name not found");
  });

  test("an answer that does not come: the time is up, by the clock door", async () => {
    const { promise: never, resolve } = Promise.withResolvers<undefined>();
    store.answer = () => never;
    const clock = { ...systemDoors.clock, sleep: async (_ms: number, ...signals: AbortSignal[]) => systemDoors.clock.sleep(50, ...signals) };
    await using sink = await store.open({}, { ...systemDoors, clock });
    const fault = await faultOf(sink.put(batchOf("x"), testSignals().signals));
    resolve(undefined);
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later" });
    expect(fault.message).toContain("no answer within 60 s");
  });

  test("kill cuts a put that waits", async () => {
    const { promise: never, resolve } = Promise.withResolvers<undefined>();
    const { signals, kill } = testSignals();
    store.answer = () => {
      kill.abort();
      return never;
    };
    await using sink = await store.open();
    const fault = await faultOf(sink.put(batchOf("x"), signals));
    resolve(undefined);
    expect(fault.message).toContain("cut by shutdown");
  });
});

describe("credentials of the standard chain", () => {
  const kept = { ...process.env };
  const chain = async (environment: Record<string, string>, overrides: Record<string, unknown> = {}): Promise<Sink> => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
    const files = { AWS_CONFIG_FILE: store.path("absent"), AWS_SHARED_CREDENTIALS_FILE: store.path("absent"), AWS_EC2_METADATA_DISABLED: "true" };
    Object.assign(process.env, files, environment);
    return store.open({ access_key_id_file: undefined, secret_access_key_file: undefined, ...overrides });
  };
  afterEach(() => {
    for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name];
    Object.assign(process.env, kept);
  });

  test("from the environment", async () => {
    await using sink = await chain({ AWS_ACCESS_KEY_ID: "AKIDFROMENV", AWS_SECRET_ACCESS_KEY: "s", AWS_SESSION_TOKEN: "t" });
    await sink.put(batchOf("x"), testSignals().signals);
    expect(store.requests[0]!.headers.get("authorization")).toContain("Credential=AKIDFROMENV/");
    expect(store.requests[0]!.headers.get("x-amz-security-token")).toBe("t");
  });

  test("from a profile", async () => {
    await writeFile(store.path("credentials"), "[logs]\naws_access_key_id = AKIDFROMFILE\naws_secret_access_key = s\n");
    await using sink = await chain({ AWS_SHARED_CREDENTIALS_FILE: store.path("credentials"), AWS_PROFILE: "logs" });
    await sink.put(batchOf("x"), testSignals().signals);
    expect(store.requests[0]!.headers.get("authorization")).toContain("Credential=AKIDFROMFILE/");
  });

  test("nowhere: denied, with the chain in the hint", async () => {
    await using sink = await chain({});
    const fault = await faultOf(sink.put(batchOf("x"), testSignals().signals));
    expect(fault).toMatchObject({ code: "s3_no_credentials", retry: "denied", hint: expect.stringContaining("AWS_ACCESS_KEY_ID") });
    expect(store.requests).toEqual([]);
  });

  test("no region for AWS: denied, and what to set", async () => {
    await using sink = await chain({}, { endpoint: undefined });
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "s3_no_region", retry: "denied" });
  });
});

test("a listing that is refused names the permission it takes, one that is not whole goes on page by page", async () => {
  await using sink = await store.open({ prefix: "raw/" });
  const list = () => Array.fromAsync(sink.holdings!.list(() => true, testSignals().signals.kill));
  store.answer = () => storeError(403, "AccessDenied");
  const refused = await faultOf(list());
  expect({ code: refused.code, retry: refused.retry }).toEqual({ code: "s3_access_denied", retry: "denied" });
  expect(refused.hint).toContain("s3:ListBucket on logs");
  const page = (key: string, next: string): Response =>
    new Response(
      `<ListBucketResult>${next}<Contents><Key>raw/${key}</Key><Size>7</Size></Contents><Contents><Key>raw/no-lane</Key><Size>1</Size></Contents></ListBucketResult>`,
    );
  store.answer = (request) => {
    const from = new URL(request.url).searchParams.get("continuation-token");
    return from === null
      ? page("hour=00/a", "<IsTruncated>true</IsTruncated><NextContinuationToken>t+/=</NextContinuationToken>")
      : page(`hour=01/${from === "t+/=" ? "b" : "?"}`, "<IsTruncated>false</IsTruncated>");
  };
  expect(await list()).toEqual([
    { lane: "hour=00", name: "a", bytes: 7 },
    { lane: "hour=01", name: "b", bytes: 7 },
  ]);
});
