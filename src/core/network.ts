/** Door to the network: the calls out (HTTP) and the servers in. The simulation cuts, delays and repeats here. */
import { chmodSync } from "node:fs";

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

export interface Network {
  request(request: NetworkRequest): Promise<NetworkAnswer>;
  serve(options: ServeOptions): Server;
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
    return { status: answer.status, headers: answer.headers, ...body };
  },
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

async function boundedBytes(answer: Response, bytesMax: number): Promise<Buffer> {
  if (answer.body === null) return Buffer.alloc(0);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body) {
    parts.push(part);
    bytes += part.byteLength;
    if (bytes >= bytesMax) break;
  }
  return Buffer.concat(parts, Math.min(bytes, bytesMax));
}
