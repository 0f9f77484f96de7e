/** Against a real S3 server. What a real one answers only on bad days is in answers.test.ts. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { HeadObjectCommand, ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import * as v from "valibot";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { scratch, type Scratch } from "../../../test/support/scratch.ts";
import { makeBucket, startVersitygw, type Versitygw } from "../../../test/support/versitygw.ts";
import { createBoard } from "../../core/board.ts";
import type { Sink } from "../../core/contract.ts";
import { systemDoors, type Doors } from "../../core/doors.ts";
import { silent } from "../../core/log.ts";
import { schema } from "./config.ts";
import { s3 } from "./sink.ts";

const MiB = 2 ** 20;
let dir: Scratch;
let server: Versitygw;

beforeAll(async () => {
  dir = await scratch();
  await makeBucket(dir.join("store"), "logs");
  server = await startVersitygw(dir.join("store"));
  await writeFile(dir.join("id"), `${server.accessKey}\n`);
  await writeFile(dir.join("secret"), `${server.secretKey}\n`);
  await writeFile(dir.join("wrong"), "not-the-secret\n");
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const config = (overrides: Record<string, unknown> = {}) =>
  v.parse(schema, {
    type: "s3",
    bucket: "logs",
    endpoint: server.endpoint,
    path_style: true,
    prefix: "raw/",
    access_key_id_file: dir.join("id"),
    secret_access_key_file: dir.join("secret"),
    ...overrides,
  });

const open = (overrides: Record<string, unknown> = {}, doors: Doors = systemDoors): Promise<Sink> =>
  s3.open(config(overrides), { name: "lake", host: "edge-1", spoolId: "0".repeat(32), doors, board: createBoard(silent, Date.now), log: silent });

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const noise = (bytes: number): Uint8Array => {
  const made = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(made.subarray(at, Math.min(at + 65_536, bytes)));
  return made;
};
const stored = (key: string): Promise<Uint8Array> => readFile(dir.join("store", "logs", key));
const faultOf = async (put: Promise<unknown>): Promise<unknown> =>
  put.then(
    () => "no fault",
    (cause: unknown) => cause,
  );

/** The SDK with its own HTTP client and defaults: not the way the sink goes. */
const sdk = () =>
  new S3Client({
    endpoint: server.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: server.accessKey, secretAccessKey: server.secretKey },
  });

/** Uploads in parts that were begun and neither completed nor aborted. */
async function openUploads(): Promise<string[]> {
  const { Uploads } = await sdk().send(new ListMultipartUploadsCommand({ Bucket: "logs" }));
  return (Uploads ?? []).map((upload) => upload.UploadId ?? "");
}

describe("whole objects", () => {
  test("a batch stands under prefix, lane and name, byte for byte, as NDJSON without a content encoding", async () => {
    await using sink = await open();
    const batch = testBatch([bytesOf("one"), bytesOf("two")], { lane: "label=a%2Fb é/date=2026-11-23" });
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
    const key = `raw/${batch.lane}/${batch.name}`;
    expect(Buffer.from(await stored(key)).toString()).toBe("onetwo");
    const head = await sdk().send(new HeadObjectCommand({ Bucket: "logs", Key: key }));
    expect(head).toMatchObject({
      ContentLength: 6,
      ContentType: "application/x-ndjson",
      Metadata: { "logferry-sha256": batch.digest, "logferry-records": "12" },
    });
    expect(head.ContentEncoding).toBeUndefined();
    expect(batch.notes).toEqual([]);
  });

  test("the same batch again is delivered, another one of that name is forked and overwrites nothing", async () => {
    await using sink = await open();
    const { signals } = testSignals();
    const name = "again.ndjson.zst";
    expect(await sink.put(testBatch([bytesOf("mine")], { name }), signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(testBatch([bytesOf("mine")], { name }), signals)).toEqual({ outcome: "delivered" });
    expect(await sink.put(testBatch([bytesOf("other")], { name }), signals)).toEqual({ outcome: "forked" });
    expect(Buffer.from(await stored(`raw/date=2026-11-23/hour=01/${name}`)).toString()).toBe("mine");
  });

  test("a body that is not what was planned is refused by the store, and kept", async () => {
    await using sink = await open();
    const batch = testBatch([bytesOf("planned")], { name: "damaged.ndjson.zst", digest: createHash("sha256").update("else").digest("hex") });
    expect(await faultOf(sink.put(batch, testSignals().signals))).toMatchObject({ code: "s3_damaged_on_the_way", retry: "later" });
  });
});

describe("objects in parts", () => {
  test("a body above part_bytes arrives byte for byte, its upload id journaled before the first part", async () => {
    await using sink = await open({ part_bytes: "5MiB" });
    const pieces = Array.from({ length: 12 }, () => noise(MiB + 17));
    const batch = testBatch(pieces, { name: "large.ndjson.zst" });
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
    expect(Buffer.compare(await stored("raw/date=2026-11-23/hour=01/large.ndjson.zst"), Buffer.concat(pieces))).toBe(0);
    expect(batch.notes).toEqual([{ upload: expect.any(String) }]);
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
    const other = testBatch([noise(6 * MiB)], { name: "large.ndjson.zst" });
    expect(await sink.put(other, testSignals().signals)).toEqual({ outcome: "forked" });
    expect(await openUploads()).toEqual([]);
  });

  test("killed between two parts, the next try aborts the old upload and delivers", async () => {
    const pieces = Array.from({ length: 12 }, () => noise(MiB));
    const name = "killed.ndjson.zst";
    const { signals, kill } = testSignals();
    const cut = testBatch(pieces, {
      name,
      async *body() {
        for (const [index, piece] of pieces.entries()) {
          if (index === 8) kill.abort();
          yield piece;
        }
      },
    });
    await using first = await open({ part_bytes: "5MiB" });
    expect(await faultOf(first.put(cut, signals))).toMatchObject({ retry: "later" });
    expect(await openUploads()).toHaveLength(1);
    await using second = await open({ part_bytes: "5MiB" });
    const again = testBatch(pieces, { name, note: cut.notes[0]! });
    expect(await second.put(again, testSignals().signals)).toEqual({ outcome: "delivered" });
    expect(Buffer.compare(await stored(`raw/date=2026-11-23/hour=01/${name}`), Buffer.concat(pieces))).toBe(0);
    expect(await openUploads()).toEqual([]);
  });

  test("completed with the answer lost, the next try finds the object and sends nothing", async () => {
    const pieces = [noise(6 * MiB)];
    const name = "answer-lost.ndjson.zst";
    await using first = await open({ part_bytes: "5MiB" });
    const lost = testBatch(pieces, { name });
    await first.put(lost, testSignals().signals);
    await using second = await open({ part_bytes: "5MiB" });
    const again = testBatch(pieces, {
      name,
      note: lost.notes[0]!,
      body() {
        throw new Error("the body was read again");
      },
    });
    expect(await second.put(again, testSignals().signals)).toEqual({ outcome: "delivered" });
  });
});

describe("what is wrong, in words", () => {
  const put = async (overrides: Record<string, unknown>): Promise<unknown> => {
    await using sink = await open(overrides);
    return await faultOf(sink.put(testBatch([bytesOf("x")], { name: "wrong.ndjson.zst" }), testSignals().signals));
  };

  test("a wrong secret", async () => {
    const fault = await put({ secret_access_key_file: dir.join("wrong") });
    expect(fault).toMatchObject({ code: "s3_access_denied", retry: "denied", hint: expect.stringContaining("secret access key") });
    expect((fault as Error).message).toContain("put object logs/raw/date=2026-11-23/hour=01/wrong.ndjson.zst: answered 403 SignatureDoesNotMatch");
    expect((fault as Error).message).not.toContain("not-the-secret");
  });

  test("an unknown access key", async () => {
    expect(await put({ access_key_id_file: dir.join("wrong") })).toMatchObject({
      code: "s3_access_denied",
      retry: "denied",
      hint: expect.stringContaining("access key id"),
    });
  });

  test("a missing bucket", async () => {
    expect(await put({ bucket: "no-such" })).toMatchObject({ code: "s3_no_such_bucket", retry: "denied", hint: expect.stringContaining("no-such") });
  });

  test("a missing secret file", async () => {
    expect(await put({ secret_access_key_file: dir.join("absent") })).toMatchObject({ code: "secret_unreadable", retry: "denied" });
  });

  test("a dead endpoint", async () => {
    const fault = await put({ endpoint: "http://127.0.0.1:1" });
    expect(fault).toMatchObject({ code: "s3_unreachable", retry: "later", hint: expect.stringContaining("http://127.0.0.1:1") });
    expect((fault as Error).message).toEndWith(": connection refused");
  });

  test("a secret that is put right is used without a restart", async () => {
    await writeFile(dir.join("rotated"), "old\n");
    await using sink = await open({ secret_access_key_file: dir.join("rotated") });
    const batch = testBatch([bytesOf("x")], { name: "rotated.ndjson.zst" });
    expect(await faultOf(sink.put(batch, testSignals().signals))).toMatchObject({ code: "s3_access_denied" });
    await writeFile(dir.join("rotated"), server.secretKey);
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "delivered" });
  });
});

describe("check", () => {
  const context = () => ({ name: "lake", host: "edge 1", doors: systemDoors });

  test("writes, looks and removes, and leaves nothing", async () => {
    const findings = await s3.check(config({ prefix: "probe/" }), context());
    expect(findings.map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(findings[0]!.what).toBe("write an object below probe/ in bucket logs");
    expect(await readdir(dir.join("store", "logs", "probe")).catch(() => [])).toEqual([]);
  });

  test("says what is wrong with its hint", async () => {
    const [finding, ...more] = await s3.check(config({ bucket: "no-such" }), context());
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ ok: false, code: "s3_no_such_bucket", hint: expect.stringContaining("no-such") });
  });
});
