/** What is pushed: labels, times, order, encodings, credentials, and what a retry repeats. */
import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { testBatch, testSignals } from "../../../test/support/batch.ts";
import { FakeLoki } from "../../../test/support/loki/fake.ts";
import { batchOf, begunMs, hours, lineOf, numbered, useLoki } from "../../../test/support/loki/rig.ts";
import { serveLoki } from "../../../test/support/loki/server.ts";
import { faultOf } from "../../../test/support/store.ts";
import { testTls } from "../../../test/support/tls.ts";
import { systemDoors } from "../../core/doors.ts";

const rig = useLoki();

describe("a push", () => {
  for (const encoding of ["protobuf", "json"] as const) {
    test(`stores labels, exact time, line and metadata: ${encoding}`, async () => {
      expect(await rig.put(batchOf([{ message: 'ü "\\ \u0000', ns: "000001" }, { message: "" }]), { encoding })).toMatchObject({
        outcome: "delivered",
      });
      const [stream] = rig.fake.store.streams.values();
      expect(stream?.labels).toEqual({ file: "/a", host: "edge-1", source: "app" });
      const ns = BigInt(begunMs) * 1_000_000n;
      expect(stream?.entries).toEqual([
        { ns, line: "", metadata: { offset: "1" } },
        { ns: ns + 1n, line: 'ü "\\ \u0000', metadata: { offset: "0" } },
      ]);
    });
  }

  test("takes a batch in zstd frames", async () => {
    const frames = await Promise.all(["one", "two"].map((message, at) => systemDoors.compress.zstd(Buffer.from(lineOf({ message }, at)), 1)));
    await rig.put(testBatch(frames, { codec: "zstd", ranges: [[0, 1]] }));
    expect(rig.messages()).toEqual(["one", "two"]);
  });

  test("has the tenant, the token as it is now, and lies below the base path, with or without slash", async () => {
    await writeFile(rig.dir.join("token"), "first\n");
    for (const url of [rig.server.url, `${rig.server.url}/`, `${rig.server.url}/gate/way/`, `${rig.server.url}/gate/way`]) {
      await rig.put(batchOf([{ message: url }]), { url, bearer_token_file: rig.dir.join("token") });
    }
    expect(rig.fake.asked.map(({ path }) => path)).toEqual([
      "/loki/api/v1/push",
      "/loki/api/v1/push",
      "/gate/way/loki/api/v1/push",
      "/gate/way/loki/api/v1/push",
    ]);
    expect(rig.fake.asked[0]?.headers).toMatchObject({
      "x-scope-orgid": "t1",
      authorization: "Bearer first",
      "content-type": "application/x-protobuf",
      "user-agent": expect.stringMatching(/^logferry\//),
    });
  });

  test("goes through the proxy of the environment", async () => {
    process.env["HTTP_PROXY"] = rig.server.url;
    try {
      await rig.put(batchOf([{}]), { url: "http://loki.invalid/x" });
      expect(rig.fake.asked[0]).toMatchObject({ headers: { host: "loki.invalid" } });
    } finally {
      delete process.env["HTTP_PROXY"];
    }
  });

  test("speaks TLS with own issuer and client certificate", async () => {
    const secure = new FakeLoki();
    await using tls = serveLoki(secure, { ...testTls.server, ca: testTls.ca, requestCert: true });
    await writeFile(rig.dir.join("ca"), testTls.ca);
    await writeFile(rig.dir.join("cert"), testTls.client.cert);
    await writeFile(rig.dir.join("key"), testTls.client.key);
    expect(await rig.refusal({ url: tls.url })).toMatchObject({
      code: "loki_unreachable",
      retry: "later",
      hint: expect.stringContaining("tls.ca_file"),
    });
    await rig.put(batchOf([{}]), {
      url: tls.url,
      tls: { ca_file: rig.dir.join("ca"), cert_file: rig.dir.join("cert"), key_file: rig.dir.join("key") },
    });
    expect(secure.pushes).toHaveLength(1);
  });

  test("is cut by size; one stream goes in order", async () => {
    await rig.put(batchOf(numbered(500).map((record) => ({ ...record, message: `${record.message} ${"x".repeat(100)}` }))), {
      batch: { bytes_max: "8KiB" },
    });
    expect(rig.fake.pushes.length).toBeGreaterThan(6);
    const order = rig.fake.pushes.flatMap(({ streams }) =>
      streams.flatMap(({ values }) => values.map(([, line]) => Number(/n=(\d+)/.exec(line)?.[1]))),
    );
    expect(order).toEqual(Array.from({ length: 500 }, (_, at) => at));
  });

  test("of other streams goes beside it", async () => {
    const records = numbered(400).map((record, at) => ({ ...record, source: `s${at % 8}` }));
    await rig.put(batchOf(records));
    expect(rig.fake.pushes.length).toBeGreaterThan(1);
    expect(rig.fake.pushes.length).toBeLessThanOrEqual(4);
    expect(new Set(rig.messages()).size).toBe(400);
  });

  test("is by time within a stream, so that nothing lies behind what comes with it", async () => {
    await rig.put(batchOf([{ ms: 0, message: "late" }, { ms: -hours(3), message: "early" }, { ms: -hours(1.5), message: "between" }])); // prettier-ignore
    expect(rig.messages()).toEqual(["early", "between", "late"]);
  });

  test("is the same bytes when it is tried again, also after a restart, and stored once", async () => {
    rig.fake.script = { after: () => (rig.fake.pushes.length < 2 ? { status: 502, text: "bad gateway" } : undefined) };
    const batch = batchOf(numbered(50));
    for (let start = 0; start < 2; start++) expect(await rig.refusal({}, batch)).toMatchObject({ code: "loki_server_error", retry: "later" });
    await rig.put(batch);
    expect(rig.fake.pushes).toHaveLength(3);
    expect(new Set(rig.fake.pushes.map(({ streams, bytes }) => JSON.stringify([streams, bytes]))).size).toBe(1);
    expect(rig.messages()).toHaveLength(50);
  });

  const timesOf = (): [ns: bigint, line: string][] =>
    [...rig.fake.store.streams.values()].flatMap(({ entries }) =>
      entries.map(({ ns, line }): [bigint, string] => [ns - BigInt(begunMs) * 1_000_000n, line]),
    );

  test("keeps the order of lines that have one time: each goes a nanosecond behind the one before", async () => {
    await rig.put(batchOf([{ message: "c" }, { message: "b" }, { message: "a" }, { message: "z", source: "b" }, { message: "later", ms: 1 }]));
    expect(timesOf()).toEqual([[0n, "c"], [1n, "b"], [2n, "a"], [1_000_000n, "later"], [0n, "z"]]); // prettier-ignore
    expect(new Set(rig.fake.pushes.flatMap(({ streams }) => streams.map(({ stream }) => stream["source"]))).size).toBe(2);
  });

  test("leaves times that say their nanoseconds, and all of them when that is wanted", async () => {
    await rig.put(batchOf([{ message: "a", ns: "000000" }, { message: "b", ns: "000000" }])); // prettier-ignore
    await rig.put(batchOf([{ message: "c" }, { message: "d" }]), { equal_times: "kept" });
    expect(timesOf().map(([ns]) => ns)).toEqual([0n, 0n, 0n, 0n]);
  });

  test("stays in order when the time moves on by less than that, and when it goes back", async () => {
    const many = Array.from({ length: 1200 }, (_, at) => ({ message: `n=${at}` }));
    await rig.put(batchOf([...many, { message: "next", ns: "001" }, { message: "back", ms: -1 }]), { concurrency: 1 });
    const times = timesOf();
    expect(times.slice(0, 3).map(String)).toEqual(["-1000000,back", "0,n=0", "1,n=1"]);
    expect(times.slice(-2).map(String)).toEqual(["1199,n=1199", "1200,next"]);
  });

  test("goes on in the next batch, the same after a restart", async () => {
    const second = batchOf([{ message: "c" }, { message: "d" }]);
    await using sink = await rig.open();
    const { state } = await sink.put(batchOf([{ message: "a" }, { message: "b" }]), testSignals().signals);
    rig.fake.script = { after: () => (rig.fake.pushes.length === 1 ? { status: 502 } : undefined) };
    expect(await faultOf(sink.put(second, testSignals().signals))).toMatchObject({ code: "loki_server_error" });
    rig.state = state;
    await rig.put(second);
    await rig.put(batchOf([{ message: "e" }]));
    expect(timesOf()).toEqual([[0n, "a"], [1n, "b"], [2n, "c"], [3n, "d"], [4n, "e"]]); // prettier-ignore
    expect(JSON.stringify(rig.state).length).toBeLessThan(100);
  });

  test("equal lines of one time are all stored", async () => {
    await rig.put(batchOf([{}, {}, {}]));
    expect(rig.messages()).toEqual(["m", "m", "m"]);
  });

  test("cuts a line that is too long for Loki, and counts it", async () => {
    await rig.put(batchOf([{ message: "x".repeat(300_000) }]));
    expect(rig.messages().map(({ length }) => length)).toEqual([262_144]);
    expect(rig.board.counts()).toEqual({ loki_line_cut: 1 });
  });

  test("what was stored of a batch is not pushed again", async () => {
    const batch = batchOf(numbered(500).map((record) => ({ ...record, message: `${record.message} ${"x".repeat(100)}` })));
    rig.fake.script = { before: () => (rig.fake.pushes.length === 3 ? { status: 503 } : undefined) };
    await using sink = await rig.open({ batch: { bytes_max: "8KiB" }, concurrency: 1 });
    expect(await faultOf(sink.put(batch, testSignals().signals))).toMatchObject({ code: "loki_server_error" });
    await sink.put(batch, testSignals().signals);
    const lines = rig.fake.pushes
      .filter(({ status }) => status === 204)
      .flatMap(({ streams }) => streams.flatMap(({ values }) => values.map(([, line]) => line)));
    expect(lines).toHaveLength(500);
    expect(new Set(lines).size).toBe(500);
  });
});
