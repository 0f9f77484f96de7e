/** A scripted S3 store on a real HTTP server: for what stores answer on bad days, or when they are not AWS. */
import { writeFile } from "node:fs/promises";
import * as v from "valibot";
import { createBoard } from "../../src/core/board.ts";
import type { Sink } from "../../src/core/contract.ts";
import { systemDoors, type Doors } from "../../src/core/doors.ts";
import type { Fault } from "../../src/core/fault.ts";
import { createLog } from "../../src/core/log.ts";
import { schema, type Config } from "../../src/sink/s3/config.ts";
import { s3 } from "../../src/sink/s3/sink.ts";
import { testBatch, testSignals, type TestBatch } from "./batch.ts";
import { scratch } from "./scratch.ts";

export type Answer = (request: Request, body: Uint8Array) => Response | undefined | Promise<Response | undefined>;

export interface ScriptedStore extends AsyncDisposable {
  readonly url: string;
  readonly objects: Map<string, { digest: string; body: Uint8Array }>;
  readonly requests: { method: string; path: string; headers: Headers }[];
  /** Lines logged by the sinks opened here. */
  readonly logged: string[];
  /** Answers first; for what it leaves undefined the store does as S3 does with whole objects. */
  answer: Answer;
  /** A path in a folder of its own. */
  path(name: string): string;
  config(overrides?: Record<string, unknown>): Config;
  open(overrides?: Record<string, unknown>, doors?: Doors): Promise<Sink>;
  /** What a sink says of a put, when the store answers so. */
  faultAfter(answer: Answer, overrides?: Record<string, unknown>): Promise<Fault>;
}

/** An error as S3 words it; `more` stands beside code and message. */
export const storeError = (status: number, code: string, more = "", headers: Record<string, string> = {}): Response =>
  new Response(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>the words of the store</Message>${more}</Error>`, {
    status,
    headers,
  });

/** A batch whose body is `text`; all have the same name. */
export const batchOf = (text: string): TestBatch => testBatch([new TextEncoder().encode(text)]);

/** What `put` rejected with; throws when it did not. */
export async function faultOf(put: Promise<unknown>): Promise<Fault> {
  return put.then(
    () => {
      throw new Error("no fault");
    },
    (cause: unknown) => cause as Fault,
  );
}

export async function startStore(): Promise<ScriptedStore> {
  const dir = await scratch();
  await writeFile(dir.join("id"), "AKIDEXAMPLE");
  await writeFile(dir.join("secret"), "the-secret-itself");
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = new URL(request.url).pathname;
      store.requests.push({ method: request.method, path, headers: request.headers });
      const body = await request.bytes();
      return (await store.answer(request, body)) ?? serveObject(store.objects, request, body);
    },
  });
  const files = { access_key_id_file: dir.join("id"), secret_access_key_file: dir.join("secret") };
  const store: ScriptedStore = {
    url: server.url.href,
    objects: new Map(),
    requests: [],
    logged: [],
    answer: () => undefined,
    path: (name) => dir.join(name),
    config: (overrides) => v.parse(schema, { type: "s3", bucket: "logs", endpoint: server.url.href, path_style: true, ...files, ...overrides }),
    async open(overrides, doors = systemDoors) {
      const log = createLog((line) => store.logged.push(line), { level: "debug", format: "json", now: Date.now });
      return s3.open(store.config(overrides), {
        name: "lake",
        host: "edge-1",
        spoolId: "0".repeat(32),
        doors,
        board: createBoard(log, Date.now),
        log,
      });
    },
    async faultAfter(answer, overrides) {
      store.answer = answer;
      await using sink = await store.open(overrides);
      return await faultOf(sink.put(batchOf("x"), testSignals().signals));
    },
    async [Symbol.asyncDispose]() {
      await server.stop(true);
      await dir[Symbol.asyncDispose]();
    },
  };
  return store;
}

/** Whole objects with atomic If-None-Match. `answer` may call it after it has changed something. */
export function serveObject(objects: ScriptedStore["objects"], request: Request, body: Uint8Array): Response {
  const path = new URL(request.url).pathname;
  const found = objects.get(path);
  if (request.method === "HEAD") {
    return found === undefined
      ? new Response(null, { status: 404 })
      : new Response(null, { headers: { "x-amz-meta-logferry-sha256": found.digest } });
  }
  if (request.method === "DELETE") {
    objects.delete(path);
    return new Response(null, { status: 204 });
  }
  if (found !== undefined && request.headers.get("if-none-match") === "*") return storeError(412, "PreconditionFailed");
  objects.set(path, { digest: request.headers.get("x-amz-meta-logferry-sha256") ?? "", body });
  return new Response(null, { headers: { etag: '"e"' } });
}
