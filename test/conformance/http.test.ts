/** Sink http against our own http source, and against a server that is none and knows repeats by their Idempotency-Key. */
import { createHash } from "node:crypto";
import * as v from "valibot";
import { createBoard } from "../../src/core/board.ts";
import type { Chunk, Sink } from "../../src/core/contract.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { readBytes } from "../../src/core/limits.ts";
import { silent } from "../../src/core/log.ts";
import { Buffers } from "../../src/core/pool.ts";
import { schema as sinkSchema } from "../../src/sink/http/config.ts";
import { http as sinkHttp } from "../../src/sink/http/sink.ts";
import { schema as sourceSchema } from "../../src/source/http/config.ts";
import { http as sourceHttp } from "../../src/source/http/source.ts";
import { testSignals } from "../support/batch.ts";
import { sinkConformance } from "./sink.ts";

const spoolId = "0123456789abcdef0123456789abcdef";
const receiverId = "fedcba9876543210fedcba9876543210";

const openSink = (url: string): Promise<Sink> =>
  sinkHttp.open(v.parse(sinkSchema, { type: "http", url }), {
    name: "central",
    host: "edge-1",
    spoolId,
    doors: systemDoors,
    board: createBoard(silent, Date.now),
    log: silent,
  });

sinkConformance("http, to a logferry", async () => {
  const stored: Uint8Array[] = [];
  const source = await sourceHttp.open(v.parse(sourceSchema, { type: "http", listen: "127.0.0.1:0" }), {
    name: "edges",
    host: "hub",
    once: false,
    positions: new Map(),
    accepting: () => true,
    spoolId: receiverId,
    buffers: new Buffers(readBytes, 4),
    doors: systemDoors,
    board: createBoard(silent, Date.now),
    log: silent,
  });
  const { signals, stop } = testSignals();
  const emit = async (chunk: Chunk): Promise<void> => {
    if (chunk.bytes.byteLength > 0) stored.push(chunk.bytes.slice());
  };
  const running = source.run(emit, signals);
  const url = source.status().listen ?? "";
  return {
    open: () => openSink(url),
    arrived: async () => stored,
    async occupy(batch) {
      const body = '{"message":"something else"}\n';
      const headers = {
        "Content-Type": "application/x-ndjson",
        "Logferry-Batch": [spoolId, batch.epoch, "central", batch.lane, String(batch.number)].map(encodeURIComponent).join("/"),
        "Logferry-Digest": `sha256:${createHash("sha256").update(body).digest("hex")}`,
      };
      const answer = await fetch(url, { method: "POST", headers, body });
      if (answer.status !== 204) throw new Error(`answered ${answer.status}: ${await answer.text()}`);
    },
    streams: false,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await source[Symbol.asyncDispose]();
    },
  };
});

sinkConformance("http, to another receiver", async () => {
  const held = new Map<string, Uint8Array>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const key = request.headers.get("idempotency-key") ?? "";
      const body = await request.bytes();
      if (!held.has(key)) held.set(key, body);
      return new Response(null, { status: 202 });
    },
  });
  return {
    open: () => openSink(server.url.href),
    arrived: async () => [...held.values()],
    streams: false,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
});
