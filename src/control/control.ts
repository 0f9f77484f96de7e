/**
 * The control API: how a running instance says how it is doing, over TCP and over a Unix socket.
 *
 * Promises: TCP that cannot listen is a fault at the start, since a second instance is the usual reason and a shipper nobody can
 * ask is worse than one that says why it will not start. A Unix socket that cannot be made is shown in /health, and shipping goes
 * on: only the commands need it. A socket that somebody answers on is never taken away from them.
 */
import type { Board } from "../core/board.ts";
import { withDeadline } from "../core/deadline.ts";
import type { Doors } from "../core/doors.ts";
import { errnoOf, Fault } from "../core/fault.ts";
import type { Log } from "../core/log.ts";
import type { Server } from "../core/network.ts";
import type { View } from "../core/view.ts";
import { openToken } from "./access.ts";
import type { ControlConfig } from "./config.ts";
import { createRoutes } from "./routes.ts";

export interface ControlOptions {
  readonly config: ControlConfig;
  /** `config.socket`, or what the agent made of it. */
  readonly socketPath: string;
  readonly view: View;
  readonly doors: Doors;
  readonly log: Log;
  readonly board: Board;
}

export interface Control {
  /** `http://127.0.0.1:8470` */
  readonly address: string;
  /** The Unix socket's path, if it could be made. */
  readonly socket: string | undefined;
  /** Stops accepting, waits `graceMs` for answers under way, then cuts. */
  close(graceMs: number): Promise<void>;
}

/** sockaddr_un.sun_path has 108 bytes on Linux, with the NUL at the end. */
const socketPathBytesMax = 107;
/** No route takes a body. */
const bodyBytesMax = 64 * 1024;
/** A server on the same machine answers within milliseconds; one that takes a second is there all the same. */
const probeMs = 1000;

/**
 * Listens. Rejects with Fault `secret_unreadable` (denied), `control_address_in_use` (never; TCP or socket) or
 * `control_listen_failed` (never). A socket that cannot be made is raised on the board as `control` (degraded).
 */
export async function openControl(options: ControlOptions): Promise<Control> {
  const { config, doors, log, socketPath, view } = options;
  const checkToken = await openToken(config.token_file, doors.disk);
  const app = createRoutes({ view, doors, log, checkToken, names: [config.listen.host, view.status(0).host] });
  const serve = (listen: { host: string; port: number } | { socket: string }): Server =>
    doors.network.serve({ listen, bodyBytesMax, handle: (request) => app.fetch(absolute(request), { local: "socket" in listen }) });

  const tcp = listenTcp(config.listen, serve);
  let socket: Server | undefined;
  try {
    socket = await openSocket(options, () => serve({ socket: socketPath }));
  } catch (cause) {
    await tcp.close(0);
    throw cause;
  }
  log.info("control api listens", { component: "control", address: tcp.address, socket: socket?.address });
  return {
    address: tcp.address,
    socket: socket?.address,
    async close(graceMs) {
      await Promise.all([tcp.close(graceMs), socket?.close(graceMs)]);
    },
  };
}

/** HTTP/1.0 without a Host header reaches us with the path alone as URL, which hono cannot take apart. */
function absolute(request: Request): Request {
  return request.url.startsWith("/") ? new Request(`http://localhost${request.url}`, request) : request;
}

function listenTcp(listen: ControlConfig["listen"], serve: (listen: ControlConfig["listen"]) => Server): Server {
  const where = listen.host.includes(":") ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
  try {
    return serve(listen);
  } catch (cause) {
    if (errnoOf(cause) === "EADDRINUSE") throw inUse(where, "control.listen", cause);
    throw new Fault({
      code: "control_listen_failed",
      retry: "never",
      message: `listen on ${where}`,
      hint: "set control.listen to an address of this machine, such as 127.0.0.1:8470; ports below 1024 need privileges",
      cause,
    });
  }
}

function inUse(where: string, key: string, cause?: unknown): Fault {
  return new Fault({
    code: "control_address_in_use",
    retry: "never",
    message: `listen on ${where}`,
    hint: `another process listens there, most likely a second logferry: stop it, or give this one another ${key}`,
    cause: cause instanceof Error && errnoOf(cause) === "EADDRINUSE" ? cause : Object.assign(new Error(), { code: "EADDRINUSE" }),
  });
}

/** The server, or undefined when there can be none and the board says why. Rejects when somebody else answers there. */
async function openSocket({ board, doors, socketPath }: ControlOptions, serve: () => Server): Promise<Server | undefined> {
  const failed = (code: string, hint: string, cause: unknown): undefined => {
    board.raise("control", "degraded", new Fault({ code, retry: "never", message: `make the control socket ${socketPath}`, hint, cause }));
  };
  const pathBytes = Buffer.byteLength(socketPath);
  if (pathBytes > socketPathBytesMax) {
    const cause = new Error(`the path has ${pathBytes} bytes, a socket's may have ${socketPathBytesMax}`);
    return failed("control_socket_path_too_long", "set control.socket to a shorter path; until then the commands use TCP and the token", cause);
  }
  try {
    await clear(socketPath, doors);
    return serve();
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    return failed(
      "control_socket_failed",
      "set control.socket to a path in a folder logferry may write to; until then the commands use TCP and the token",
      cause,
    );
  }
}

/** Removes the socket a killed process has left. Rejects with Fault `control_address_in_use` when it is not left at all. */
async function clear(path: string, doors: Doors): Promise<void> {
  const found = await doors.disk.stat(path, false);
  if (found === undefined) return;
  if (found.kind !== "socket") throw new Error(`a ${found.kind} is in its place`);
  if (!(await abandoned(path, doors))) throw inUse(path, "control.socket");
  await doors.disk.remove(path);
}

/** True when the kernel refuses to connect: nobody has the socket open. Any other outcome means that somebody may. */
async function abandoned(path: string, { clock, network }: Doors): Promise<boolean> {
  try {
    await withDeadline(clock, probeMs, new AbortController().signal, (signal) =>
      network.request({ url: "http://localhost/live", method: "GET", headers: {}, signal, socket: path }),
    );
    return false;
  } catch (cause) {
    return errnoOf(cause) === "ECONNREFUSED";
  }
}
