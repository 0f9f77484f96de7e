/** Sink http against a real HTTP server that numbers batches as a logferry does. */
import * as v from "valibot";
import { createBoard } from "../../src/core/board.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { schema } from "../../src/sink/http/config.ts";
import { http } from "../../src/sink/http/sink.ts";
import { sinkConformance } from "./sink.ts";

const spoolId = "0123456789abcdef0123456789abcdef";

sinkConformance("http", async () => {
  const held = new Map<string, { digest: string; body: Uint8Array }>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const headers = { "logferry-receiver": "far" };
      if (request.method !== "POST") return new Response(null, { status: 405, headers });
      const id = decodeURIComponent(request.headers.get("logferry-batch") ?? "");
      const digest = request.headers.get("logferry-digest") ?? "";
      const body = await request.bytes();
      const known = held.get(id);
      if (known === undefined) held.set(id, { digest, body });
      else if (known.digest !== digest) return Response.json({ epoch: "0", number: 0, digest: known.digest }, { status: 409, headers });
      return new Response(null, { status: 204, headers });
    },
  });
  const config = v.parse(schema, { type: "http", url: `${server.url.href}v1/records` });
  const nameOf = ({ epoch, lane, number }: { epoch: string; lane: string; number: number }): string =>
    `${spoolId}/${epoch}/central/${lane}/${number}`;
  return {
    open: () =>
      http.open(config, { name: "central", host: "edge-1", spoolId, doors: systemDoors, board: createBoard(silent, Date.now), log: silent }),
    async arrived(batch) {
      const found = held.get(nameOf(batch));
      return found === undefined ? [] : [found.body];
    },
    async occupy(batch) {
      held.set(nameOf(batch), { digest: "sha256:00", body: new Uint8Array(3) });
    },
    streams: false,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
});
