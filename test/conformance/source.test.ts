/** Every source of the registry, held against what all of them guarantee. */
import { appendFileSync } from "node:fs";
import { systemDoors } from "../../src/core/doors.ts";
import type { Source, SourceKind } from "../../src/core/contract.ts";
import { file } from "../../src/source/file/source.ts";
import { http } from "../../src/source/http/source.ts";
import { loki } from "../../src/source/loki/source.ts";
import { stdin } from "../../src/source/stdin/source.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { serveLoki } from "../support/loki/server.ts";
import { scratch } from "../support/scratch.ts";
import { conformSource, type World } from "./source.ts";

async function openFile(): Promise<World> {
  const dir = await scratch();
  return {
    kind: file,
    config: { type: "file", include: [dir.join("*.log")], discover_interval: "20ms" },
    feed: (lines) => appendFileSync(dir.join("app.log"), lines.map((line) => `${line}\n`).join("")),
    close: () => {},
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

function openStdin(): Promise<World> {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  // As from a pipe: pieces that know nothing of lines.
  const pieces: Uint8Array[] = [];
  let closed = false;
  const pump = (): void => {
    while (controller !== undefined && pieces.length > 0 && (controller.desiredSize ?? 0) > 0)
      controller.enqueue(pieces.shift() ?? new Uint8Array(0));
    if (closed && pieces.length === 0) controller?.close();
  };
  const input = new ReadableStream<Uint8Array>({
    start: (own) => void (controller = own),
    pull: pump,
    cancel: () => void (controller = undefined),
  });
  return Promise.resolve({
    kind: stdin,
    config: { type: "stdin" },
    doors: { ...systemDoors, disk: { ...systemDoors.disk, input: () => input } },
    feed(lines) {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      for (let at = 0; at < bytes.byteLength; at += 65_521) pieces.push(bytes.subarray(at, at + 65_521));
      pump();
    },
    close() {
      closed = true;
      pump();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

/** A sender as another logferry is one: bodies one after the other, numbered, each sent until it is taken. */
function openHttp(): Promise<World> {
  const bodyBytesMax = 2 * 2 ** 20;
  let source: Source | undefined;
  const kind = { ...http, open: async (config, context) => (source = await http.open(config as never, context)) } satisfies SourceKind as SourceKind;
  let waiting = "";
  let number = 0;
  let over = false;
  const batchId = (): string => `${"a".repeat(32)}/00000001/central/0/${number}`;
  const taken = async (body: string): Promise<boolean> => {
    const url = source?.status().listen;
    if (url === undefined) return false;
    const headers = { "Content-Type": "text/plain", "Logferry-Batch": batchId() };
    const answer = await fetch(url, { method: "POST", body, headers }).catch(() => undefined);
    return answer?.status === 204;
  };
  const send = async (): Promise<void> => {
    while (!over) {
      // Planned once: a retry has the same bytes under the same number.
      const body = waiting.slice(0, waiting.lastIndexOf("\n", bodyBytesMax) + 1);
      waiting = waiting.slice(body.length);
      while (!over && body !== "" && !(await taken(body))) await Bun.sleep(2);
      if (body === "") await Bun.sleep(2);
      else number++;
    }
  };
  const sending = send();
  return Promise.resolve({
    kind,
    config: { type: "http", listen: "127.0.0.1:0" },
    feed: (lines) => void (waiting += lines.map((line) => `${line}\n`).join("")),
    close: () => {},
    async [Symbol.asyncDispose]() {
      over = true;
      await sending;
    },
  });
}

/** A Loki over real HTTP and WebSockets. What its tail loses is found within ten seconds and more: test/loki has that in simulated time. */
async function openLoki(): Promise<World> {
  const dir = await scratch();
  const fake = new FakeLoki();
  fake.limits.tickMs = 20;
  const server = serveLoki(fake);
  let lastNs = 0n;
  return {
    kind: loki,
    config: {
      type: "loki",
      url: `${server.url}/`,
      query: '{app="web"}',
      tenant: "t1",
      start: "1h",
      settle: "100ms",
      sweep_interval: "50ms",
    },
    directory: dir.join("state"),
    feed(lines) {
      const nowNs = BigInt(Math.floor(Date.now())) * 1_000_000n - BigInt(lines.length);
      if (nowNs > lastNs) lastNs = nowNs;
      const values = lines.map((line): [string, string] => [String(++lastNs), line]);
      for (let at = 0; at < values.length; at += 500) fake.push([{ stream: { app: "web" }, values: values.slice(at, at + 500) }]);
    },
    close: () => {},
    textOf: (emitted) => (JSON.parse(emitted) as { message: string }).message,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

conformSource("file", { resumes: true, ends: true }, openFile);
conformSource("stdin", { resumes: false, ends: true }, openStdin);
conformSource("http", { resumes: true, ends: false }, openHttp);
conformSource("loki", { resumes: true, ends: true, ordered: false }, openLoki);
