/** `status` against real servers on a socket and a port. */
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { testIo } from "../../test/support/io.ts";
import { scratch } from "../../test/support/scratch.ts";
import { systemNetwork, type Server } from "../core/network.ts";
import type { Health, Status } from "../core/view.ts";
import { run } from "./status.ts";

const minuteAgo = new Date(Date.now() - 60_000).toISOString();
const status: Status = {
  version: "0.1.0",
  host: "edge-1",
  spool_id: "0123456789abcdef0123456789abcdef",
  uptime_s: 3725,
  state: "failing",
  sources: { app: { type: "file", state: "running", records: 1_234_567, bytes: 5 * 2 ** 20, lag_bytes: 0, last_record_time: minuteAgo, faults: 0 } },
  spool: { bytes: 2 ** 30, max_bytes: 2 ** 31, segments: 64, first_sequence: 10, last_sequence: 99, paused: "" },
  sinks: {
    lake: {
      type: "s3",
      state: "denied",
      delivered_sequence: 9,
      records: 10,
      bytes: 1000,
      lag_records: 90,
      lag_bytes: 1500,
      batches: 1,
      retries: 3,
      dead: 0,
    },
  },
  faults: {},
};
const health: Health = {
  state: "failing",
  reasons: [{ component: "sinks.lake", code: "s3_access_denied", message: "put object a", hint: "Give it s3:PutObject.", since: minuteAgo }],
};

function instance(listen: { host: string; port: number } | { socket: string }): Server {
  return systemNetwork.serve({
    listen,
    bodyBytesMax: 1024,
    handle: (request) => {
      const path = new URL(request.url).pathname;
      if (path === "/status") return Response.json(status);
      return path === "/health" ? Response.json(health, { status: 503 }) : new Response("", { status: 404 });
    },
  });
}

async function look(folder: string, listen: string, json = false, tty = false): Promise<{ exit: number; out: string; err: string }> {
  const config = `${folder}/l.yaml`;
  await writeFile(
    config,
    `sources: { app: { type: stdin } }\nsinks: { disk: { type: directory, dir: /data } }\nspool: { dir: ${folder}/spool }\ncontrol: { listen: "${listen}", socket: ${folder}/c.sock }\n`,
  );
  const io = testIo({ tty: { stdout: tty, stderr: tty, columns: 100 } });
  const exit = await run({ config, json }, io);
  return { exit, out: io.out(), err: io.err() };
}

test("the socket is asked first; the answer is a page for people", async () => {
  await using dir = await scratch();
  const server = instance({ socket: dir.join("c.sock") });
  try {
    const { exit, out } = await look(dir.path, "127.0.0.1:1");
    expect(exit).toBe(0);
    const lines = out.split("\n");
    expect(lines[0]).toBe("edge-1 is failing: logferry 0.1.0, up 1h 2m, spool 0123456789abcdef0123456789abcdef");
    expect(out).toContain("✗ sinks.lake: put object a (s3_access_denied, for 1m");
    expect(out).toContain("→ Give it s3:PutObject.");
    expect(out).toMatch(
      /^SOURCE +TYPE +STATE +RECORDS +READ +LAG +LAST RECORD +FAULTS\napp +file +running +1,234,567 +5\.0 MiB +0 B +1m( \ds)? ago +0$/m,
    );
    expect(out).toMatch(/^lake +s3 +denied +10 +1\.0 KiB +90 +1\.5 KiB +3 +never$/m);
    expect(out).toContain("spool: 1.0 GiB of 2.0 GiB (50 %) in 64 segments, records 10 to 99\n");
    expect(out).not.toContain("\u001B");
  } finally {
    await server.close(0);
  }
});

test("without the socket the address answers; JSON is the status with the reasons of health", async () => {
  await using dir = await scratch();
  const server = instance({ host: "127.0.0.1", port: 0 });
  try {
    const { exit, out } = await look(dir.path, server.address.replace("http://", ""), true);
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toEqual({ ...status, reasons: health.reasons });
    expect((await look(dir.path, server.address.replace("http://", ""), false, true)).out).toContain("\u001B[31mfailing\u001B[39m");
  } finally {
    await server.close(0);
  }
});

test("when nobody answers it says where it looked and how to start one, with exit 1", async () => {
  await using dir = await scratch();
  const server = systemNetwork.serve({ listen: { host: "127.0.0.1", port: 0 }, bodyBytesMax: 1024, handle: () => new Response("hello") });
  const { exit, out, err } = await look(dir.path, server.address.replace("http://", ""));
  await server.close(0);
  expect({ exit, out }).toEqual({ exit: 1, out: "" });
  expect(err).toBe(
    `no running instance answers:\n  ${dir.path}/c.sock: there is no such socket\n  ${server.address}: something answers that is not logferry\n` +
      `start one with \`logferry run --config ${dir.path}/l.yaml\`, or with \`systemctl start logferry\`\n`,
  );
  const refused = await look(dir.path, server.address.replace("http://", ""));
  expect(refused.err).toContain(`${server.address}: connection refused`);
});

test("files that are behind or not read are listed, what is in their names does not reach the terminal", async () => {
  await using dir = await scratch();
  const files = [
    {
      path: "/logs/a\n\u001b[31mred\u202e.log",
      state: "refused",
      last_fault: { code: "file_not_regular", message: "a pipe", hint: "leave it out", time: minuteAgo },
    },
    {
      path: `/logs/${"x".repeat(4000)}/app.log`,
      state: "reading",
      lag_bytes: 2 ** 30,
      offset: 1000,
      size: 2 ** 30 + 1000,
      last_read_time: minuteAgo,
    },
    { path: "/logs/quiet.log", state: "idle" },
  ].map((each) => ({ identity: "1", offset: 0, size: 0, lag_bytes: 0, ...each }));
  const whole = {
    ...status,
    sources: {
      app: {
        ...status.sources["app"],
        files,
        files_total: 2002,
        file_states: { idle: 2001, reading: 1, refused: 1 },
        backlog: { bytes_left: 2 ** 30, bytes_per_second: 85 * 2 ** 20, seconds_left: 13 },
      },
    },
  };
  const asked: string[] = [];
  const server = systemNetwork.serve({
    listen: { socket: dir.join("c.sock") },
    bodyBytesMax: 1024,
    handle: (request) => {
      asked.push(request.url.replace(/^.*localhost/, ""));
      return request.url.includes("/status") ? Response.json(whole) : Response.json(health, { status: 503 });
    },
  });
  try {
    const { out } = await look(dir.path, "127.0.0.1:1");
    // eslint-disable-next-line no-control-regex -- none of these may come through
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(out).toContain("app: 2,002 files: 2,001 idle, 1 reading, 1 refused; 1.0 GiB left, 85 MiB/s, about 13s\n");
    expect(out).toMatch(/^\/logs\/a\\n\\x1b\[31mred\\u202e\.log +refused +0 B +0 +0 +never$/m);
    expect(out).toMatch(/^\/logs\/x+…x+\/app\.log +reading +1\.0 GiB +1,000 +1,073,742,824 +1m( \ds)? ago$/m);
    expect(out).not.toContain("quiet.log");
    const io = testIo();
    await run({ config: `${dir.path}/l.yaml`, files: Number.POSITIVE_INFINITY }, io);
    expect(io.out()).toContain("/logs/quiet.log");
    expect(io.out()).toContain("and 2,000 more");
    const json = testIo();
    await run({ config: `${dir.path}/l.yaml`, json: true, files: 3 }, json);
    expect(json.out()).not.toContain("\u202e");
    expect((JSON.parse(json.out()) as Status).sources["app"]?.files?.[0]?.path).toBe("/logs/a\n\u001b[31mred\u202e.log");
    expect(asked.filter((path) => path.startsWith("/status"))).toEqual(["/status", "/status?files=all", "/status?files=3"]);
  } finally {
    await server.close(0);
  }
});
