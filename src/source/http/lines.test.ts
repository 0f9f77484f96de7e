import { expect, test } from "bun:test";
import { startReceiver } from "../../../test/support/receiver.ts";
import { readBytes } from "../../core/limits.ts";

const text = { "Content-Type": "text/plain" };

test("text in a format of its own, with times out of the lines", async () => {
  await using receiver = await startReceiver({ format: "logfmt", timestamp: { format: "rfc3339", key: "t" } });
  expect((await receiver.post(`t=${new Date().toISOString().slice(0, 10)}T00:00:00Z level=info\nnot logfmt\n`, text)).status).toBe(204);
  expect(receiver.store.records[0]).toMatchObject({
    timestamp: `${new Date().toISOString().slice(0, 10)}T00:00:00.000000Z`,
    data: { level: "info" },
  });
  expect(receiver.store.records[1]).toMatchObject({ message: "not logfmt" });
});

test("events of several lines: across the pieces of a body, never across two bodies", async () => {
  await using receiver = await startReceiver({ multiline: { preset: "java", lines_max: 100_000 } });
  const trace = `failed\n${"\tat a.B.c(B.java:1)\n".repeat(Math.ceil((1.5 * readBytes) / 20))}`;
  expect((await receiver.post(`first\n${trace}`, text)).status).toBe(204);
  expect((await receiver.post("\tat the begin of another\nlast\n", text)).status).toBe(204);
  expect(receiver.store.records.map(({ message }) => message)).toEqual(["first", trace.trimEnd(), "\tat the begin of another", "last"]);
});
