/** Far sides on bad days: what each answer does, what is said of it, that the others go on, and that everything arrives in the end. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { numbered, startForeign, type Foreign } from "../support/foreign.ts";
import { lostAndRepeated, readLake, type Arrived } from "../support/lake.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw } from "../support/versitygw.ts";

const batch = { bytes_max: "1MiB", age_max: "100ms" };
const retry = { min: "50ms", max: "300ms" };
const none = { lost: 0, repeated: 0, foreign: 0 };

const never = (): Promise<Response> => new Promise(() => {});

interface Answer {
  readonly name: string;
  readonly answer: Foreign["answer"];
  readonly code: string;
  readonly state: "degraded" | "failing";
  readonly sink: "retrying" | "denied";
  readonly says: readonly string[];
}

const refusal = "the data is refused: the record at line 3 has no field ts";
const answers: readonly Answer[] = [
  ...[400, 413, 422].map((status): Answer => ({
    name: `${status}`,
    answer: () => new Response(refusal, { status }),
    code: "http_refused",
    state: "failing",
    sink: "denied",
    says: [String(status), refusal, ...(status === 413 ? ["batch.bytes_max"] : [])],
  })),
  ...[401, 403].map((status): Answer => ({
    name: `${status}`,
    answer: () => new Response("no", { status }),
    code: "http_unauthorized",
    state: "failing",
    sink: "denied",
    says: [String(status), "bearer_token_file"],
  })),
  {
    name: "404",
    answer: () => new Response("no", { status: 404 }),
    code: "http_wrong_url",
    state: "failing",
    sink: "denied",
    says: ["404", "check the path of url"],
  },
  {
    name: "503 with Retry-After",
    answer: () => new Response("later", { status: 503, headers: { "retry-after": "1" } }),
    code: "http_busy",
    state: "degraded",
    sink: "retrying",
    says: ["503", "look at its own health"],
  },
  {
    name: "a receiver that hangs",
    answer: never,
    code: "http_unreachable",
    state: "degraded",
    sink: "retrying",
    says: ["no answer within 0.3 s", "raise timeout"],
  },
];

test.each(answers.map((each) => [each.name, each] as const))(
  "%s by HTTP: said, kept, tried again; the other sink goes on",
  async (_, each) => {
    await using dir = await scratch();
    await using foreign = startForeign();
    foreign.answer = each.answer;
    await writeFile(dir.join("a.log"), numbered("a", 0, 500));
    const config = await writeConfig(dir.path, {
      sources: { app: { type: "file", include: [dir.join("a.log")] } },
      sinks: {
        central: { type: "http", url: foreign.url, timeout: "300ms", batch, retry },
        lake: { type: "directory", dir: dir.join("lake"), batch },
      },
    });
    const socket = dir.join("control.sock");
    await using running = startLogferry(config, socket);
    await running.ready();
    const { status } = await standing(socket, "sinks.central", each.code, each.state, [foreign.url, ...each.says]);
    expect(status.sinks["central"]).toMatchObject({ state: each.sink, records: 0, last_fault: { code: each.code } });
    // What comes meanwhile reaches the other sink.
    await appendFile(dir.join("a.log"), numbered("a", 500, 500));
    const behind = await until(async () => {
      const seen = await look(socket);
      return seen.status.sinks["lake"]?.records === 1000 ? seen : undefined;
    }, "the other sink delivers");
    expect(behind.ready).toBe(200);
    expect(behind.metric('logferry_sink_lag_records{sink="central"}')).toBe(1000);
    expect(behind.status.sinks["central"]?.lag_bytes).toBeGreaterThan(0);
    expect(behind.status.sinks["lake"]).toMatchObject({ lag_bytes: 0, lag_records: 0, state: "running" });
    await until(() => foreign.requests.length >= 3, "it is tried again");

    foreign.answer = () => new Response(null, { status: 204 });
    const { status: last } = await recovered(socket);
    expect(last.sinks["central"]).toMatchObject({ state: "running", records: 1000, lag_records: 0 });
    expect(last.sinks["central"]?.retries).toBeGreaterThanOrEqual(2);
    expect(await running.stop()).toBe(0);
    const late = each.answer === never;
    const found = lostAndRepeated(foreign.records, { a: 1000 });
    expect(late ? { ...found, repeated: 0 } : found).toEqual(none);
    expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 1000 })).toEqual(none);
  },
  30_000,
);

test("nobody listens at the URL: said, kept, delivered when somebody does", async () => {
  await using dir = await scratch();
  const gone = startForeign();
  const { port } = gone;
  await gone[Symbol.asyncDispose]();
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url: `http://127.0.0.1:${port}/in`, batch, retry } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  const seen = await standing(socket, "sinks.central", "http_unreachable", "degraded", [
    `127.0.0.1:${port}/in`,
    "connection refused",
    "nothing listens there",
  ]);
  expect(seen.ready).toBe(200);
  await using back = startForeign(port);
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(back.records, { a: 100 })).toEqual(none);
});

test("a wait that the receiver asks for is kept", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () =>
    foreign.requests.length > 1 ? new Response(null, { status: 204 }) : new Response("later", { status: 503, headers: { "retry-after": "1" } });
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url: foreign.url, batch, retry: { min: "50ms", max: "10s" } } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  await until(() => foreign.requests.length >= 2, "it is tried again");
  await recovered(socket);
  const [first, second] = foreign.requests;
  expect(second!.ms - first!.ms).toBeGreaterThan(990);
  expect(second!.key).toBe(first!.key);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 100 })).toEqual(none);
}, 30_000);

test("lag without progress fails health, whatever else looks alive", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  const config = await writeConfig(dir.path, {
    health: { stalled_after: "1s" },
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { central: { type: "http", url: foreign.url, batch, retry } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  await standing(socket, "sinks.central", "http_busy", "degraded", ["503"]);
  const seen = await until(async () => {
    const each = await look(socket);
    return each.state === "failing" ? each : undefined;
  }, "health fails");
  expect(seen.health).toBe(503);
  expect(seen.reasons.map(({ component, code }) => `${component} ${code}`)).toEqual(["sinks.central stalled", "sinks.central http_busy"]);
  foreign.answer = () => new Response(null, { status: 204 });
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 100 })).toEqual(none);
});

const store = await scratch();
let s3: Awaited<ReturnType<typeof startVersitygw>>;
beforeAll(async () => {
  s3 = await startVersitygw(store.join("s3"));
  await writeFile(store.join("id"), s3.accessKey);
  await writeFile(store.join("secret"), s3.secretKey);
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});

interface Store {
  readonly name: string;
  /** Keys of the sink that differ from what works. */
  readonly wrong: (bucket: string, dir: string) => Promise<Record<string, unknown>>;
  readonly code: string;
  readonly state: "degraded" | "failing";
  readonly says: (bucket: string) => readonly string[];
  readonly mend: (bucket: string, dir: string) => Promise<unknown>;
}

const stores: readonly Store[] = [
  {
    name: "a wrong secret",
    wrong: async (bucket, dir) => {
      await makeBucket(store.join("s3"), bucket);
      await writeFile(`${dir}/secret`, "of-somebody-else");
      return { secret_access_key_file: `${dir}/secret` };
    },
    code: "s3_access_denied",
    state: "failing",
    says: (bucket) => [`${bucket}/`, "403", "secret access key"],
    mend: (_, dir) => writeFile(`${dir}/secret`, s3.secretKey),
  },
  {
    name: "an access key that the store does not know",
    wrong: async (bucket, dir) => {
      await makeBucket(store.join("s3"), bucket);
      await writeFile(`${dir}/id`, "nobody");
      return { access_key_id_file: `${dir}/id` };
    },
    code: "s3_access_denied",
    state: "failing",
    says: (bucket) => [`${bucket}/`, "access key id"],
    mend: (_, dir) => writeFile(`${dir}/id`, s3.accessKey),
  },
  {
    name: "a file with the secret that is not there",
    wrong: async (bucket, dir) => {
      await makeBucket(store.join("s3"), bucket);
      return { secret_access_key_file: `${dir}/secret` };
    },
    code: "secret_unreadable",
    state: "failing",
    says: () => ["/secret: no such file"],
    mend: (_, dir) => writeFile(`${dir}/secret`, s3.secretKey),
  },
  {
    name: "a file with more than the key in it",
    wrong: async (bucket, dir) => {
      await makeBucket(store.join("s3"), bucket);
      await writeFile(`${dir}/id`, `${s3.accessKey}\n${s3.secretKey}\n`);
      return { access_key_id_file: `${dir}/id` };
    },
    code: "s3_no_credentials",
    state: "failing",
    says: () => ["/id: holds more than one word", "on one line"],
    mend: (_, dir) => writeFile(`${dir}/id`, s3.accessKey),
  },
  {
    name: "no such bucket",
    wrong: () => Promise.resolve({}),
    code: "s3_no_such_bucket",
    state: "failing",
    says: (bucket) => [bucket, "404", "make the bucket"],
    mend: (bucket) => makeBucket(store.join("s3"), bucket),
  },
];

test.each(stores.map((each) => [each.name, each] as const))("%s in S3: said, kept, delivered once it is mended", async (name, each) => {
  await using dir = await scratch();
  const bucket = name.replaceAll(" ", "-");
  await writeFile(dir.join("a.log"), numbered("a", 0, 300));
  const s3Sink = {
    type: "s3",
    bucket,
    region: "us-east-1",
    endpoint: s3.endpoint,
    path_style: true,
    access_key_id_file: store.join("id"),
    secret_access_key_file: store.join("secret"),
    batch,
    retry,
    ...(await each.wrong(bucket, dir.path)),
  };
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { bucket: s3Sink, lake: { type: "directory", dir: dir.join("lake"), batch } },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  const seen = await standing(socket, "sinks.bucket", each.code, each.state, each.says(bucket));
  expect(seen.status.sinks["bucket"]).toMatchObject({ state: "denied", records: 0 });
  await until(async () => (await running.status()).sinks["bucket"]?.lag_records === 300, "all of it waits");
  expect(seen.ready).toBe(200);
  await until(async () => (await running.status()).sinks["lake"]?.records === 300, "the other sink delivers");
  await each.mend(bucket, dir.path);
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  const arrived: Arrived[] = await readLake(store.join("s3", bucket));
  expect(lostAndRepeated(arrived, { a: 300 })).toEqual(none);
});

test("a store that is away, and away again in the middle: said, and every object once", async () => {
  await using dir = await scratch();
  const root = dir.join("s3");
  const first = await startVersitygw(root);
  await makeBucket(root, "logs");
  const port = Number(new URL(first.endpoint).port);
  await first.stop("SIGKILL");
  await writeFile(dir.join("a.log"), numbered("a", 0, 300));
  const config = await writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: {
      bucket: {
        type: "s3",
        bucket: "logs",
        region: "us-east-1",
        endpoint: first.endpoint,
        path_style: true,
        access_key_id_file: store.join("id"),
        secret_access_key_file: store.join("secret"),
        batch,
        retry,
      },
    },
  });
  const socket = dir.join("control.sock");
  await using running = startLogferry(config, socket);
  await running.ready();
  const seen = await standing(socket, "sinks.bucket", "s3_unreachable", "degraded", [
    first.endpoint.slice(7),
    "connection refused",
    `${first.endpoint} runs`,
  ]);
  expect(seen.ready).toBe(200);
  {
    await using back = await startVersitygw(root, port);
    await recovered(socket);
    expect(back.endpoint).toBe(first.endpoint);
  }
  await appendFile(dir.join("a.log"), numbered("a", 300, 300));
  await standing(socket, "sinks.bucket", "s3_unreachable", "degraded", ["connection refused"]);
  await using again = await startVersitygw(root, port);
  await recovered(socket);
  expect(again.endpoint).toBe(first.endpoint);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(`${root}/logs`), { a: 600 })).toEqual(none);
});
