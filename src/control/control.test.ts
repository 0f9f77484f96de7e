/** The control API over real TCP and real Unix sockets: every route, who may ask what, and what happens when it cannot listen. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { runProcess } from "../../test/support/process.ts";
import { scratch, type Scratch } from "../../test/support/scratch.ts";
import { degradedView, emptyView, failingView, okView, type ShownView } from "../../test/support/view.ts";
import { createBoard, type Board } from "../core/board.ts";
import { systemDoors } from "../core/doors.ts";
import { silent } from "../core/log.ts";
import type { ControlConfig } from "./config.ts";
import { openControl, type Control } from "./control.ts";

const token = "a-long-random-token";
const listen = { host: "127.0.0.1", port: 0 };

interface Opened extends AsyncDisposable {
  readonly control: Control;
  readonly board: Board;
  /** Over TCP. */
  ask(path: string, init?: RequestInit): Promise<Response>;
  /** Over the Unix socket. */
  askLocal(path: string, init?: RequestInit): Promise<Response>;
}

async function opened(view: ShownView, socketPath: string, config: Partial<ControlConfig> = {}): Promise<Opened> {
  const board = createBoard(silent, () => Date.now());
  const control = await openControl({ config: { listen, ...config }, socketPath, view, doors: systemDoors, log: silent, board });
  return {
    control,
    board,
    ask: (path, init) => fetch(`${control.address}${path}`, init),
    askLocal: (path, init) => fetch(`http://localhost${path}`, { ...init, unix: socketPath }),
    [Symbol.asyncDispose]: () => control.close(0),
  };
}

let dir: Scratch;
beforeAll(async () => {
  dir = await scratch();
  await writeFile(dir.join("token"), token);
});
afterAll(() => dir[Symbol.asyncDispose]());

let sockets = 0;
const nextSocket = (): string => dir.join(`control-${sockets++}.sock`);

describe("what it answers", () => {
  test.each([
    ["ok", okView, 200],
    ["degraded", degradedView, 200],
    ["failing", failingView, 503],
  ] as const)("/health of a view that is %s, exactly the state and its reasons", async (state, make, httpStatus) => {
    const view = make(Date.now());
    await using instance = await opened(view, nextSocket());
    const answer = await instance.ask("/health");
    expect(answer.status).toBe(httpStatus);
    expect(await answer.json()).toEqual({ state, reasons: view.current.reasons });
  });

  test("/ready follows the view, /live does not", async () => {
    const view = failingView(Date.now());
    await using instance = await opened(view, nextSocket());
    const ready = await instance.ask("/ready");
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true }]);
    view.isReady = false;
    const notReady = await instance.ask("/ready");
    expect([notReady.status, await notReady.json()]).toEqual([503, { ready: false }]);
    expect((await instance.ask("/live")).status).toBe(200);
  });

  test("/status is the view's, as JSON", async () => {
    const view = okView(Date.now());
    await using instance = await opened(view, nextSocket());
    const answer = await instance.ask("/status");
    expect(answer.headers.get("content-type")).toStartWith("application/json");
    expect(await answer.json()).toEqual(view.current.status);
  });

  test("/status shows as many files as it is asked for, and what acts in a name is escaped", async () => {
    const view = okView(Date.now());
    view.current.status.sources["nginx"]!.files![0]!.path = "/logs/\u009b2J\u202e.log";
    await using instance = await opened(view, nextSocket());
    const text = await (await instance.ask("/status?files=all")).text();
    expect(text).toContain("/logs/\\u009b2J\\u202e.log");
    expect((JSON.parse(text) as { sources: { nginx: { files: { path: string }[] } } }).sources.nginx.files[0]?.path).toBe("/logs/\u009b2J\u202e.log");
    await instance.ask("/status?files=7");
    await instance.ask("/status");
    expect(view.filesAsked.slice(-3)).toEqual([Number.POSITIVE_INFINITY, 7, undefined]);
    const wrong = await instance.ask("/status?files=many");
    expect([wrong.status, ((await wrong.json()) as { code: string }).code]).toEqual([400, "control_query_refused"]);
  });

  test("HEAD answers like GET, without a body, and nothing is ever cached", async () => {
    await using instance = await opened(failingView(Date.now()), nextSocket());
    for (const [path, status] of [
      ["/", 200],
      ["/live", 200],
      ["/health", 503],
      ["/status", 200],
      ["/metrics", 200],
      ["/nothing", 404],
    ] as const) {
      const answer = await instance.ask(path, { method: "HEAD" });
      expect([path, answer.status, answer.headers.get("cache-control"), await answer.text()]).toEqual([path, status, "no-store", ""]);
    }
  });

  test("an unknown path says what there is, a wrong method which is right", async () => {
    await using instance = await opened(emptyView(), nextSocket());
    const answer = await instance.ask("/metrcs");
    expect(answer.status).toBe(404);
    const body = (await answer.json()) as { paths: { path: string }[] };
    expect(body.paths.map((each) => each.path).sort()).toEqual(["/", "/flush", "/health", "/live", "/metrics", "/ready", "/status"]);
    const wrong = await instance.ask("/health", { method: "POST" });
    expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  test("a request of HTTP/1.0 without a Host header is answered", async () => {
    await using instance = await opened(emptyView(), nextSocket());
    const socket = connect(Number(new URL(instance.control.address).port), "127.0.0.1");
    socket.write("GET /live HTTP/1.0\r\n\r\n");
    socket.setTimeout(20_000, () => socket.destroy());
    const first = await new Promise<string>((resolve) => socket.once("data", (data) => resolve(String(data))));
    socket.destroy();
    expect(first).toStartWith("HTTP/1.1 200");
  });

  test("an answer that fails says so, and the next one is given", async () => {
    const view = emptyView();
    await using instance = await opened(view, nextSocket());
    view.onLook = () => {
      throw new Error("no status today");
    };
    expect((await instance.ask("/status")).status).toBe(500);
    view.onLook = () => {};
    expect((await instance.ask("/status")).status).toBe(200);
  });
});

describe("who may ask", () => {
  const post = { method: "POST" };
  const bearing = (given: string) => ({ method: "POST", headers: { authorization: `Bearer ${given}` } });

  test("/flush over TCP without a token file is refused, whatever token is sent", async () => {
    const view = emptyView();
    await using instance = await opened(view, nextSocket());
    expect((await instance.ask("/flush", post)).status).toBe(403);
    expect((await instance.ask("/flush", bearing(token))).status).toBe(403);
    expect(view.flushes).toBe(0);
  });

  test("/flush over the socket needs no token", async () => {
    const view = emptyView();
    await using instance = await opened(view, nextSocket(), { token_file: dir.join("token") });
    expect((await instance.askLocal("/flush", post)).status).toBe(204);
    expect(view.flushes).toBe(1);
  });

  test("/flush over TCP: 403 without, 401 with a wrong, 204 with the right token; what only reads stays open", async () => {
    const view = emptyView();
    await using instance = await opened(view, nextSocket(), { token_file: dir.join("token") });
    expect((await instance.ask("/flush", post)).status).toBe(403);
    const wrong = await instance.ask("/flush", bearing("guessed"));
    expect([wrong.status, wrong.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    expect(view.flushes).toBe(0);
    expect((await instance.ask("/flush", bearing(token))).status).toBe(204);
    expect(view.flushes).toBe(1);
    for (const path of ["/", "/live", "/health", "/ready", "/status", "/metrics"])
      expect([path, (await instance.ask(path)).status]).toEqual([path, 200]);
  });

  test("a foreign name that points to this machine is refused on every path, our own is not", async () => {
    await using instance = await opened(emptyView(), nextSocket(), { token_file: dir.join("token") });
    for (const path of ["/", "/health", "/status", "/metrics", "/flush", "/nothing"]) {
      const answer = await instance.ask(path, { headers: { host: "rebound.example:8470" } });
      expect([path, answer.status, answer.headers.get("cache-control")]).toEqual([path, 421, "no-store"]);
    }
    for (const host of ["edge-1:8470", "localhost:8470", "10.1.2.3"]) expect((await instance.ask("/health", { headers: { host } })).status).toBe(200);
    expect((await instance.ask("/health", { headers: { host: "prometheus.example", authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await instance.askLocal("/health", { headers: { host: "whatever.example" } })).status).toBe(200);
  });

  test("no other site is given leave to read", async () => {
    await using instance = await opened(emptyView(), nextSocket());
    const answer = await instance.ask("/status", { headers: { origin: "https://evil.example" } });
    expect([...answer.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("where it listens", () => {
  test("the socket belongs to its user alone, and is gone after the close", async () => {
    const path = nextSocket();
    const instance = await opened(emptyView(), path);
    expect(instance.control.socket).toBe(path);
    const { mode } = await import("node:fs/promises").then((fs) => fs.stat(path));
    expect((mode & 0o777).toString(8)).toBe("600");
    await instance.control.close(0);
    expect(await systemDoors.disk.stat(path)).toBeUndefined();
    await expect(instance.ask("/live")).rejects.toThrow();
  });

  test("a socket that a killed process has left is replaced", async () => {
    const path = nextSocket();
    const leave = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => new Response() }); process.kill(process.pid, "SIGKILL"); await Bun.sleep(60000);`;
    await runProcess([process.execPath, "-e", leave]);
    expect((await systemDoors.disk.stat(path))?.kind).toBe("socket");
    await using instance = await opened(emptyView(), path);
    expect((await instance.askLocal("/live")).status).toBe(200);
    expect(instance.board.reasons()).toEqual([]);
  });

  test("a port that is taken is a fault with a hint, and leaves no socket behind", async () => {
    await using first = await opened(emptyView(), nextSocket());
    const path = nextSocket();
    const port = Number(new URL(first.control.address).port);
    await expect(opened(emptyView(), path, { listen: { host: "127.0.0.1", port } })).rejects.toMatchObject({
      code: "control_address_in_use",
      retry: "never",
      message: `listen on 127.0.0.1:${port}: address already in use`,
      hint: expect.stringContaining("second logferry"),
    });
    expect(await systemDoors.disk.stat(path)).toBeUndefined();
  });

  test("a socket that somebody answers on is theirs, and the port is given free again", async () => {
    const path = nextSocket();
    await using first = await opened(emptyView(), path);
    const reserved = await opened(emptyView(), nextSocket());
    const port = Number(new URL(reserved.control.address).port);
    await reserved.control.close(0);
    await expect(opened(emptyView(), path, { listen: { host: "127.0.0.1", port } })).rejects.toMatchObject({ code: "control_address_in_use" });
    expect((await first.askLocal("/live")).status).toBe(200);
    await using again = await opened(emptyView(), nextSocket(), { listen: { host: "127.0.0.1", port } });
    expect((await again.ask("/live")).status).toBe(200);
  });

  test("an address that is not this machine's is a fault", async () => {
    await expect(opened(emptyView(), nextSocket(), { listen: { host: "192.0.2.1", port: 0 } })).rejects.toMatchObject({
      code: "control_listen_failed",
    });
  });

  test.each([
    ["a path of 108 bytes", () => `${dir.path}/`.padEnd(108, "x"), "control_socket_path_too_long"],
    ["a folder that is missing", () => dir.join("missing", "control.sock"), "control_socket_failed"],
    ["a file in its place", () => dir.join("token"), "control_socket_failed"],
  ] as const)("%s for the socket is shown in health, and TCP goes on", async (_, path, code) => {
    await using instance = await opened(emptyView(), path());
    expect(instance.control.socket).toBeUndefined();
    expect(instance.board.reasons()).toMatchObject([
      { component: "control", code, severity: "degraded", hint: expect.stringContaining("control.socket") },
    ]);
    expect((await instance.ask("/live")).status).toBe(200);
    expect(await Bun.file(dir.join("token")).text()).toBe(token);
  });
});
