import { expect, test } from "bun:test";
import { lend } from "./lend.ts";

test("memory is gone after its disposal", () => {
  const lent = lend(10);
  lent[Symbol.dispose]();
  expect(lent.bytes.byteLength).toBe(0);
});

test("fetch has a copy of its own: memory given back while a request is under way changes nothing of it", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    maxRequestBodySize: 64 * 2 ** 20,
    async fetch(request) {
      await gate.promise; // more than the socket's buffers hold is still with the sender
      return new Response(Bun.CryptoHasher.hash("sha256", await request.bytes(), "hex"));
    },
  });
  const lent = lend(32 * 2 ** 20);
  lent.bytes.fill(7);
  const digest = Bun.CryptoHasher.hash("sha256", lent.bytes, "hex");
  const answer = fetch(server.url, { method: "POST", body: lent.bytes as Uint8Array<ArrayBuffer> });
  lent.bytes.fill(8);
  lent[Symbol.dispose]();
  gate.resolve();
  expect(await (await answer).text()).toBe(digest);
});
