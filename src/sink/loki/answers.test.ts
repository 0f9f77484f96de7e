/** Every answer of a Loki, and of what may stand before it: delivered, held or tried again, with what to do. */
import { describe, expect, test } from "bun:test";
import type { TestBatch } from "../../../test/support/batch.ts";
import { batchOf, numbered, useLoki } from "../../../test/support/loki/rig.ts";
import { systemDoors } from "../../core/doors.ts";
import { loki } from "./sink.ts";

const rig = useLoki();

describe("each answer has a verdict", () => {
  const rows: [status: number, text: string, code: string, retry: string, hint: RegExp][] = [
    [200, "", "loki_unexpected_answer", "denied", /is it Loki/],
    [202, "", "loki_unexpected_answer", "denied", /is it Loki/],
    [
      260,
      "ingestion blocked for user 't1' until '2026-12-01T00:00:00Z' with status code '260'",
      "loki_ingestion_blocked",
      "denied",
      /blocked in Loki/,
    ],
    [403, "ingestion blocked for user 't1' until 'x' with status code '403'", "loki_ingestion_blocked", "denied", /blocked in Loki/],
    [307, "", "loki_wrong_url", "denied", /correct url/],
    [400, "multiple org IDs present", "loki_push_refused", "denied", /one tenant/],
    [400, "couldn't parse labels: 1:5: parse error", "loki_push_refused", "denied", /correct labels/],
    [400, "whatever a proxy says", "loki_push_refused", "denied", /something on the way/],
    [401, "no org id", "loki_unauthorized", "denied", /set tenant/],
    [401, "", "loki_unauthorized", "denied", /bearer_token_file/],
    [404, "404 page not found", "loki_wrong_url", "denied", /\/loki\/api\/v1/],
    [407, "", "loki_unauthorized", "denied", /HTTPS_PROXY/],
    [408, "", "loki_server_error", "later", /by itself/],
    [413, "", "loki_push_refused", "denied", /too large/],
    [415, "", "loki_unexpected_answer", "denied", /encoding: json/],
    [422, "", "loki_push_refused", "denied", /./],
    [429, "ingestion rate limit exceeded for user t1", "loki_busy", "later", /ingestion_rate_mb/],
    [429, "maximum active stream limit exceeded", "loki_busy", "later", /fewer labels/],
    [429, "Per stream rate limit exceeded", "loki_busy", "later", /per_stream_rate_limit/],
    [500, "", "loki_server_error", "later", /log/],
    [501, "", "loki_unexpected_answer", "denied", /is it Loki/],
    [503, "", "loki_server_error", "later", /log/],
    [504, "", "loki_server_error", "later", /log/],
  ];
  for (const [status, text, code, retry, hint] of rows) {
    test(`${status} ${text}: ${code}, ${retry}`, async () => {
      rig.fake.script = { before: () => ({ status, text }) };
      const fault = await rig.refusal();
      expect(fault).toMatchObject({ code, retry, hint: expect.stringMatching(hint) });
      expect(fault.message).toStartWith(`push to ${rig.server.url}: answered ${status}`);
    });
  }

  test("Retry-After is passed on, though Loki itself never says it", async () => {
    rig.fake.script = { before: () => ({ status: 429, headers: { "Retry-After": "7" } }) };
    expect(await rig.refusal()).toMatchObject({ code: "loki_busy", waitMs: 7000 });
  });

  test("nobody listens, the name does not exist, no answer in time", async () => {
    expect(await rig.refusal({ url: "http://127.0.0.1:1" })).toMatchObject({ message: "reach http://127.0.0.1:1: connection refused" });
    expect(await rig.refusal({ url: "http://no-such-host.invalid" })).toMatchObject({ hint: expect.stringContaining("correct the host in url") });
    const silentServer = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Promise<Response>(() => {}) });
    expect((await rig.refusal({ url: silentServer.url.href, timeout: "100ms" })).message).toEndWith("no answer within 0.1 s");
    await silentServer.stop(true);
  });

  test("a tenant that is missing, a label too many, metadata that is not wanted: held, with what to change", async () => {
    expect(await rig.refusal({ tenant: undefined })).toMatchObject({ code: "loki_unauthorized", hint: expect.stringContaining("set tenant") });
    rig.fake.store.rules.labelNames = 2;
    expect(await rig.refusal()).toMatchObject({ code: "loki_push_refused", retry: "denied", hint: expect.stringContaining("labels_max") });
    const many = batchOf([{ source: "s".repeat(500) }]);
    expect((await rig.refusal({}, many)).message).toMatch(/has 3 label names; limit 2$/);
    rig.fake.store.rules.metadata = false;
    rig.fake.store.rules.labelNames = 15;
    expect(await rig.refusal()).toMatchObject({ code: "loki_push_refused", hint: expect.stringContaining("metadata: none") });
    expect(await rig.put(batchOf([{}]), { metadata: "none" })).toMatchObject({ outcome: "delivered" });
    rig.fake.store.rules.wanted = ["team"];
    expect(await rig.refusal({ metadata: "none" })).toMatchObject({ hint: expect.stringContaining("wants certain labels") });
  });

  test("413: the push is halved until it passes, nothing is lost", async () => {
    rig.fake.bodyBytesMax = 2000;
    const records = numbered(300).map((record) => ({ ...record, message: `${record.message} ${Bun.hash(record.message ?? "").toString(36)}` }));
    expect(await rig.put(batchOf(records))).toMatchObject({ outcome: "delivered" });
    expect(new Set(rig.messages()).size).toBe(300);
    expect(rig.fake.pushes.every(({ bytes }) => bytes <= 2000)).toBe(true);
  });

  test("a body that differs from the plan is not sent at all", async () => {
    const batch = batchOf(numbered(3));
    const failing: TestBatch = {
      ...batch,
      async *body() {
        yield* batch.body();
        throw new Error("differs");
      },
    };
    expect(
      await rig.put(failing).then(
        () => "",
        (cause: unknown) => String(cause),
      ),
    ).toContain("differs");
    expect(rig.fake.pushes).toHaveLength(0);
  });
});

describe("check", () => {
  const findings = (overrides: Record<string, unknown> = {}) =>
    loki.check(rig.config(overrides), { name: "logs", host: "edge-1", doors: systemDoors });

  for (const encoding of ["protobuf", "json"] as const) {
    test(`pushes nothing: ${encoding}`, async () => {
      expect(await findings({ encoding })).toEqual([{ ok: true, what: `push nothing to ${rig.server.url}` }]);
      expect(rig.fake.store.streams.size).toBe(0);
    });
  }

  test("says what is wrong, with its hint", async () => {
    const said = async (overrides: Record<string, unknown>): Promise<unknown> => (await findings(overrides))[0];
    expect(await said({ tenant: undefined })).toMatchObject({ ok: false, code: "loki_unauthorized", hint: expect.stringContaining("set tenant") });
    expect(await said({ bearer_token_file: rig.dir.join("absent") })).toMatchObject({ code: "secret_unreadable" });
    expect(await said({ url: "http://127.0.0.1:1" })).toMatchObject({ code: "loki_unreachable" });
    rig.fake.script = { before: () => ({ status: 260, text: "ingestion blocked" }) };
    expect(await said({})).toMatchObject({ code: "loki_ingestion_blocked" });
    const other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("not here", { status: 404 }) });
    expect(await said({ url: other.url.href })).toMatchObject({ code: "loki_wrong_url" });
    await other.stop(true);
  });
});
