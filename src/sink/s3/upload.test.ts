/** What becomes of an object, at a store that does not do all that S3 does. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { batchOf, faultOf, serveObject, startStore, storeError, type ScriptedStore } from "../../../test/support/store.ts";
import { systemDoors } from "../../core/doors.ts";
import { s3 } from "./sink.ts";

let store: ScriptedStore;
beforeEach(async () => {
  store = await startStore();
});
afterEach(() => store[Symbol.asyncDispose]());

describe("conditional writes", () => {
  test("of ten writers at once with ten contents, one is delivered and nine are forked", async () => {
    await using sink = await store.open();
    const receipts = await Promise.all(Array.from({ length: 10 }, (_, index) => sink.put(batchOf(`writer ${index}`), testSignals().signals)));
    expect(receipts.filter(({ outcome }) => outcome === "delivered")).toHaveLength(1);
    expect([...store.objects.values()]).toHaveLength(1);
  });

  test("a store without them is looked at first, and said so once", async () => {
    store.answer = (request) => (request.headers.has("if-none-match") ? storeError(501, "NotImplemented") : undefined);
    await using sink = await store.open();
    const { signals } = testSignals();
    expect(await sink.put(batchOf("mine"), signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(batchOf("mine"), signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(batchOf("other"), signals)).toEqual({ outcome: "forked" });
    expect(store.requests.map(({ method }) => method)).toEqual(["PUT", "HEAD", "PUT", "HEAD", "HEAD"]);
    expect(store.logged.filter((line) => line.includes("conditional writes"))).toHaveLength(1);
    expect(new TextDecoder().decode([...store.objects.values()][0]!.body)).toBe("mine");
  });

  test("a store that lacks something else is not taken for one without them", async () => {
    store.answer = (request) => (request.method === "PUT" ? storeError(501, "NotImplemented") : undefined);
    await using sink = await store.open({ storage_class: "GLACIER" });
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({
      code: "s3_unexpected_answer",
      retry: "denied",
      hint: expect.stringContaining("storage_class"),
    });
    expect(store.logged).toEqual([]);
  });

  test("an object that may be there but must not be looked at is never counted as delivered", async () => {
    store.answer = (request) => (request.method === "HEAD" ? new Response(null, { status: 403 }) : storeError(412, "PreconditionFailed"));
    await using sink = await store.open();
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({
      code: "s3_access_denied",
      retry: "denied",
      hint: expect.stringContaining("s3:GetObject"),
    });
  });

  test("an object that was there and is gone: later", async () => {
    store.answer = (request) => (request.method === "PUT" ? storeError(412, "PreconditionFailed") : undefined);
    await using sink = await store.open();
    expect(await faultOf(sink.put(batchOf("x"), testSignals().signals))).toMatchObject({ code: "s3_write_conflict", retry: "later" });
  });
});

describe("checksums", () => {
  test("the body's SHA-256 is signed, and no second checksum is sent", async () => {
    await using sink = await store.open();
    const batch = batchOf("x");
    await sink.put(batch, testSignals().signals);
    const { headers } = store.requests[0]!;
    expect(headers.get("x-amz-content-sha256")).toBe(batch.digest);
    expect(headers.get("authorization")).toContain("x-amz-content-sha256");
    expect([...headers.keys()].filter((name) => /checksum|md5|trailer|expect/.test(name))).toEqual([]);
  });

  test("a bucket with Object Lock gets Content-MD5, from the first answer that asks for it on", async () => {
    store.answer = (request) =>
      request.method === "PUT" && !request.headers.has("content-md5")
        ? storeError(400, "InvalidRequest")
            .text()
            .then(
              (text) =>
                new Response(
                  text.replace(
                    "the words of the store",
                    "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
                  ),
                  { status: 400 },
                ),
            )
        : undefined;
    await using sink = await store.open();
    const { signals } = testSignals();
    await sink.put(batchOf("x"), signals);
    await sink.put({ ...batchOf("y"), name: "second.ndjson.zst" }, signals);
    expect(store.requests).toHaveLength(3);
    expect(store.requests[2]!.headers.get("content-md5")).toBe(createHash("md5").update("y").digest("base64"));
  });
});

describe("objects in parts", () => {
  const large = () => testBatch([new Uint8Array(6 * 2 ** 20)]);
  const begun = (request: Request): Response | undefined => {
    const url = new URL(request.url);
    if (request.method === "POST" && url.searchParams.has("uploads"))
      return new Response("<InitiateMultipartUploadResult><UploadId>u-1</UploadId></InitiateMultipartUploadResult>");
    if (request.method === "PUT" && url.searchParams.has("partNumber")) return new Response(null, { headers: { etag: '"p"' } });
    return undefined;
  };

  test("a body that cannot be read is no fault of the store: its own error comes back", async () => {
    const gone = new Error("records are gone");
    const batch = {
      ...batchOf("x"),
      body() {
        throw gone;
      },
    };
    store.answer = begun;
    await using sink = await store.open();
    expect(await faultOf(sink.put(batch, testSignals().signals))).toBe(gone as never);
    expect(await faultOf(sink.put({ ...batch, bytes: 9 * 2 ** 20 }, testSignals().signals))).toBe(gone as never);
  });

  test("a failure that comes as a 200 is a failure", async () => {
    store.answer = (request) => begun(request) ?? (request.method === "POST" ? storeError(200, "InternalError") : undefined);
    await using sink = await store.open({ part_bytes: "5MiB" });
    expect(await faultOf(sink.put(large(), testSignals().signals))).toMatchObject({ code: "s3_server_error", retry: "later" });
  });

  test("a 200 that ends without a result is no delivery", async () => {
    store.answer = (request) => begun(request) ?? (request.method === "POST" ? new Response(null) : undefined);
    await using sink = await store.open({ part_bytes: "5MiB" });
    expect(await faultOf(sink.put(large(), testSignals().signals))).toMatchObject({ code: "s3_server_error", retry: "later" });
  });

  test("an upload the store forgot in the middle is begun anew by the next try", async () => {
    store.answer = (request) => (new URL(request.url).searchParams.get("partNumber") === "2" ? storeError(404, "NoSuchUpload") : begun(request));
    await using sink = await store.open({ part_bytes: "5MiB" });
    expect(await faultOf(sink.put(large(), testSignals().signals))).toMatchObject({ code: "s3_upload_gone", retry: "later" });
  });

  test("an upload the store forgot because it was completed is delivered", async () => {
    const batch = large();
    store.answer = (request) => {
      if (request.method !== "POST" || new URL(request.url).searchParams.has("uploads")) return begun(request);
      store.objects.set(new URL(request.url).pathname, { digest: batch.digest, body: new Uint8Array(0) });
      return storeError(404, "NoSuchUpload");
    };
    await using sink = await store.open({ part_bytes: "5MiB" });
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
  });

  test("an old upload that may not be aborted is left, and said so", async () => {
    store.answer = (request) => {
      if (request.method === "DELETE") return storeError(403, "AccessDenied");
      if (request.method === "POST" && !new URL(request.url).searchParams.has("uploads"))
        return new Response("<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>");
      return begun(request);
    };
    await using sink = await store.open({ part_bytes: "5MiB" });
    expect(await sink.put({ ...large(), note: { upload: "old" } }, testSignals().signals)).toEqual({ outcome: "delivered" });
    expect(store.logged.join()).toContain("s3:AbortMultipartUpload");
  });

  test("tags, class and encryption are asked for with each object, whole or in parts", async () => {
    store.answer = begun;
    await using sink = await store.open({
      part_bytes: "5MiB",
      storage_class: "STANDARD_IA",
      sse: "aws:kms",
      sse_kms_key_id: "k-1",
      tags: { team: "a b" },
    });
    await sink.put(batchOf("x"), testSignals().signals);
    expect(await sink.put(large(), testSignals().signals)).toEqual({ outcome: "forked" });
    for (const { headers } of store.requests.slice(0, 2)) {
      expect(headers.get("x-amz-storage-class")).toBe("STANDARD_IA");
      expect(headers.get("x-amz-server-side-encryption")).toBe("aws:kms");
      expect(headers.get("x-amz-server-side-encryption-aws-kms-key-id")).toBe("k-1");
      expect(headers.get("x-amz-tagging")).toBe("team=a+b");
    }
  });
});

describe("check", () => {
  const context = () => ({ name: "lake", host: "edge-1", doors: systemDoors });

  test("tells stores apart that refuse, ignore and know conditional writes", async () => {
    const words = async (): Promise<string> => (await s3.check(store.config(), context()))[0]!.what;
    expect(await words()).toBe("write an object below the root in bucket logs");
    store.answer = (request) => (request.headers.has("if-none-match") ? storeError(501, "NotImplemented") : undefined);
    expect(await words()).toContain("looked for before");
    store.answer = (request, body) => {
      request.headers.delete("if-none-match");
      return serveObject(store.objects, request, body);
    };
    expect(await words()).toContain("ignores If-None-Match");
  });

  test("a policy that only lets write is told what it lacks", async () => {
    store.answer = (request) => (request.method === "PUT" ? undefined : new Response(null, { status: 403 }));
    const findings = await s3.check(store.config(), context());
    expect(findings.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(findings[1]!.hint).toContain("s3:GetObject");
    expect(findings[2]!.what).toContain("delivery does not need s3:DeleteObject");
  });
});
