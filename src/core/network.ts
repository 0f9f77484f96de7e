/** Door to the network: the calls out (HTTP) and the servers in. The simulation cuts, delays and repeats here. */
import { chmodSync } from "node:fs";
import { giveBack } from "./lend.ts";

export interface NetworkRequest {
  url: string;
  method: string;
  headers: Record<string, string>;
  /** The body as a whole; parts are sent one after the other. */
  body?: Uint8Array;
  /** Aborted: the request is given up, the call rejects. */
  signal: AbortSignal;
  /** TLS settings of the target, PEM texts. */
  tls?: { ca?: string; cert?: string; key?: string };
  /** A Unix socket to go through; the URL then gives the path and the Host header only. */
  socket?: string;
  /** How much of the answer's text is kept. Default: 64 KiB, enough for any answer that is read by people. */
  answerBytesMax?: number;
  /** The answer is data: it comes as `body`, and `text` is empty. */
  binary?: boolean;
}

export interface NetworkAnswer {
  status: number;
  headers: Headers;
  /** The answer's text, at most `answerBytesMax` of it. */
  text: string;
  /** With `binary`: its bytes, at most `answerBytesMax` of them. */
  body?: Uint8Array;
}

export interface Server {
  /** Where it listens: `http://127.0.0.1:8470`, or the path of a Unix socket. */
  readonly address: string;
  /** Stops accepting, waits `graceMs` for what is under way, then cuts. */
  close(graceMs: number): Promise<void>;
}

export interface ServeOptions {
  /** `host:port` (port 0 = any) or a Unix socket path, made with mode 0600 and removed at the close. Throws the system's error. */
  listen: { host: string; port: number } | { socket: string };
  tls?: { cert: string; key: string };
  handle(request: Request): Response | Promise<Response>;
  /** Largest body accepted, as sent. */
  bodyBytesMax: number;
}

/** A WebSocket to open, and who is told what comes. After `closed` nothing is told any more. */
export interface ConnectOptions {
  /** `ws://` or `wss://`. */
  url: string;
  headers: Record<string, string>;
  /** TLS settings of the target, PEM texts. */
  tls?: NetworkRequest["tls"];
  opened(): void;
  /** A text frame. */
  message(text: string): void;
  ping(): void;
  /** Once, and last. `status` is the HTTP status of a handshake that was refused; code 1006: cut, or never opened. */
  closed(end: { code: number; reason: string; status?: number; opened: boolean }): void;
}

export interface WebSocketLike {
  /** Ends it from this side; `closed` is told all the same, if not at once then when the far side has answered. */
  close(): void;
}

export interface Network {
  request(request: NetworkRequest): Promise<NetworkAnswer>;
  serve(options: ServeOptions): Server;
  /** Opens a WebSocket. Never throws for what the far side does. A simulated network need not have it. */
  connect?(options: ConnectOptions): WebSocketLike;
}

const answerBytesMax = 64 * 1024;

export const systemNetwork: Network = {
  async request(request) {
    const answer = await fetch(request.url, {
      method: request.method,
      headers: request.headers,
      body: (request.body as Uint8Array<ArrayBuffer> | undefined) ?? null,
      signal: request.signal,
      redirect: "manual",
      keepalive: true,
      ...(request.tls === undefined ? {} : { tls: request.tls }),
      ...(request.socket === undefined ? {} : { unix: request.socket }),
    });
    const bytes = await boundedBytes(answer, request.answerBytesMax ?? answerBytesMax);
    const body = request.binary === true ? { text: "", body: bytes } : { text: bytes.toString("utf8") };
    if (request.binary !== true) giveBack(bytes);
    return { status: answer.status, headers: answer.headers, ...body };
  },
  connect: (options) => connectWebSocket(options),
  serve(options) {
    const { bodyBytesMax, listen, tls } = options;
    const handle = (request: Request): Response | Promise<Response> => options.handle(request);
    const server =
      "socket" in listen
        ? serveSocket(listen.socket, () => Bun.serve({ fetch: handle, maxRequestBodySize: bodyBytesMax, unix: listen.socket }))
        : Bun.serve({
            fetch: handle,
            maxRequestBodySize: bodyBytesMax,
            hostname: listen.host,
            port: listen.port,
            // Longer than any commit takes: an answer waits until its records are durable.
            idleTimeout: 120,
            ...(tls === undefined ? {} : { tls }),
          });
    return {
      address: "socket" in listen ? listen.socket : server.url.href.replace(/\/$/, ""),
      async close(graceMs) {
        // server.stop() can hang for ever on a connection that stays open: give it its time, then cut.
        const cut = Bun.sleep(graceMs);
        await Promise.race([server.stop(), cut]);
        await server.stop(true);
      },
    };
  },
};

/** How long a far side may take to answer a close before the socket counts as closed. */
const closeMs = 1000;

function connectWebSocket(options: ConnectOptions): WebSocketLike {
  const { url, headers, tls } = options;
  const proxy = proxyOf(url);
  const socket = new WebSocket(url, { headers, ...(tls === undefined ? {} : { tls }), ...(proxy === undefined ? {} : { proxy }) });
  let wasOpened = false;
  let over = false;
  let status: number | undefined;
  const end = (code: number, reason: string): void => {
    if (over) return;
    over = true;
    options.closed({ code, reason, opened: wasOpened, ...(status === undefined ? {} : { status }) });
  };
  socket.addEventListener("open", () => {
    wasOpened = true;
    if (!over) options.opened();
  });
  socket.addEventListener("message", ({ data }) => {
    if (!over && typeof data === "string") options.message(data);
  });
  // The runtime tells of pings too, and answers them; its types do not know.
  socket.addEventListener("ping" as "open", () => {
    if (!over) options.ping();
  });
  socket.addEventListener("error", (event) => {
    const found = /Expected 101 status code: (\d{3})/.exec("message" in event ? event.message : "");
    if (found !== null) status = Number(found[1]);
  });
  socket.addEventListener("close", ({ code, reason }) => end(code, reason));
  return {
    close() {
      socket.close(1000);
      setTimeout(() => {
        socket.terminate();
        end(1006, "");
      }, closeMs).unref();
    },
  };
}

/** The proxy that the environment names for `url`, as fetch takes it by itself: HTTP(S)_PROXY, unless NO_PROXY names the host. */
function proxyOf(url: string): string | undefined {
  const { protocol, hostname } = new URL(url);
  const name = protocol === "wss:" ? "https_proxy" : "http_proxy";
  const proxy = process.env[name] ?? process.env[name.toUpperCase()] ?? "";
  const direct = (process.env["no_proxy"] ?? process.env["NO_PROXY"] ?? "").split(",").map((part) => part.trim().replace(/^\*?\./, ""));
  if (proxy === "" || direct.some((part) => part === "*" || (part !== "" && (hostname === part || hostname.endsWith(`.${part}`))))) return undefined;
  return proxy;
}

/** Binds with a mask, since a connection made between bind(2) and chmod(2) would get in; chmod takes the x bits off. */
function serveSocket(path: string, bind: () => Bun.Server<undefined>): Bun.Server<undefined> {
  const before = process.umask(0o077);
  try {
    const server = bind();
    try {
      chmodSync(path, 0o600);
    } catch (cause) {
      void server.stop(true);
      throw cause;
    }
    return server;
  } finally {
    process.umask(before);
  }
}

/** Parts of an answer smaller than this may share memory with others. */
const partBytesMin = 8192;

async function boundedBytes(answer: Response, bytesMax: number): Promise<Buffer> {
  if (answer.body === null) return Buffer.alloc(0);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body) {
    parts.push(part);
    bytes += part.byteLength;
    if (bytes >= bytesMax) break;
  }
  const whole = Buffer.concat(parts, Math.min(bytes, bytesMax));
  for (const part of parts) giveBack(part, partBytesMin);
  return whole;
}
