/** A batch arrives, its answer is lost, and a frame of it rots before it is sent again: the far side is asked, and nothing comes twice. */
import { expect, test } from "bun:test";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { blocks, flip } from "../corrupt/damaged.ts";
import { numbered } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { freePort } from "../support/port.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw } from "../support/versitygw.ts";

/** Passes everything on; while `loses`, the answers to what writes are cut off after their effect. */
function startProxy(target: string): AsyncDisposable & { readonly url: string; loses: boolean; lost: number } {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = request.method === "POST" || request.method === "PUT" ? await request.bytes() : undefined;
      const headers = new Headers(request.headers);
      const answer = await fetch(target + pathname + search, { method: request.method, headers, ...(body === undefined ? {} : { body }) });
      const whole = await answer.bytes();
      if (proxy.loses && body !== undefined) {
        if (answer.ok) proxy.lost++;
        return new Response("lost", { status: 503 });
      }
      return new Response(whole.byteLength === 0 ? null : whole, { status: answer.status, headers: answer.headers });
    },
  });
  const proxy = { url: `http://127.0.0.1:${server.port}`, loses: true, lost: 0, [Symbol.asyncDispose]: () => server.stop(true) };
  return proxy;
}

const none = { lost: 0, repeated: 0, foreign: 0 };

/** Delivers two frames in one batch, loses the answer, kills the sender, damages the first frame, and starts again. */
async function rotAfterSending(
  dir: { readonly path: string; join(...names: string[]): string },
  sink: object,
  proxy: ReturnType<typeof startProxy>,
): Promise<void> {
  const batch = { bytes_max: "4MiB", age_max: "1s" };
  await mkdir(dir.join("edge"));
  const config = await writeConfig(dir.join("edge"), {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: { far: { batch, retry: { min: "50ms", max: "100ms" }, ...sink } },
  });
  const socket = dir.join("edge", "control.sock");
  await writeFile(dir.join("a.log"), numbered("a", 0, 100));
  {
    await using running = startLogferry(config, socket);
    await running.ready();
    await until(async () => (await running.status()).spool.last_sequence === 99, "the first frame is durable");
    await Bun.write(dir.join("a.log"), (await readFile(dir.join("a.log"), "utf8")) + numbered("a", 100, 100));
    await until(() => proxy.lost > 0, "it has arrived, and the answer is lost");
    await running.stop("SIGKILL");
  }
  const segment = dir.join("edge", "spool", "segments", "0000000000000001.zst");
  const { payloads } = await blocks(segment);
  await flip(segment, (payloads[0] ?? 0) + 30);
  proxy.loses = false;
  await using running = startLogferry(config, socket);
  await running.ready();
  const status = await until(async () => {
    const seen = await running.status();
    return seen.sinks["far"]?.delivered_sequence === 199 ? seen : undefined;
  }, "all of it is done with");
  expect(status.faults["spool_records_lost"]).toBeUndefined();
  expect(await running.stop()).toBe(0);
}

test("by HTTP to another logferry", async () => {
  await using dir = await scratch();
  await mkdir(dir.join("central"));
  await writeFile(dir.join("token"), "t");
  const port = await freePort();
  const centralConfig = await writeConfig(dir.join("central"), {
    sources: { ingest: { type: "http", listen: `127.0.0.1:${port}`, bearer_token_file: dir.join("token") } },
    sinks: { lake: { type: "directory", dir: dir.join("lake"), batch: { bytes_max: "1MiB", age_max: "100ms" } } },
  });
  await using central = startLogferry(centralConfig, dir.join("central", "control.sock"));
  await central.ready();
  await using proxy = startProxy(`http://127.0.0.1:${port}`);
  await rotAfterSending(dir, { type: "http", url: `${proxy.url}/v1/records`, bearer_token_file: dir.join("token") }, proxy);
  expect(await central.stop()).toBe(0);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 200 })).toEqual(none);
}, 60_000);

test("as an object in S3", async () => {
  await using dir = await scratch();
  await using s3 = await startVersitygw(dir.join("s3"));
  await makeBucket(dir.join("s3"), "logs");
  await writeFile(dir.join("id"), s3.accessKey);
  await writeFile(dir.join("secret"), s3.secretKey);
  await using proxy = startProxy(s3.endpoint);
  const keys = { access_key_id_file: dir.join("id"), secret_access_key_file: dir.join("secret") };
  await rotAfterSending(dir, { type: "s3", bucket: "logs", region: "us-east-1", endpoint: proxy.url, path_style: true, ...keys }, proxy);
  expect(lostAndRepeated(await readLake(dir.join("s3", "logs")), { a: 200 })).toEqual(none);
}, 60_000);
