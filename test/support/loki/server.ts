/** A fake Loki at a port of 127.0.0.1, over real HTTP and WebSockets: `await using server = await serveLoki(fake);` */
import type { FakeLoki } from "./fake.ts";
import { FakeTail, type TailClient } from "./tail.ts";

export interface LokiServer extends AsyncDisposable {
  readonly url: string;
  /** Cuts every connection, as a process that dies. */
  cut(): void;
}

interface Held {
  tail: FakeTail | undefined;
  readonly waiting: (() => void)[];
  socket: Bun.ServerWebSocket<Held> | undefined;
}

export function serveLoki(
  fake: FakeLoki,
  tls?: { cert: string; key: string; ca?: string; requestCert?: boolean; rejectUnauthorized?: boolean },
): LokiServer {
  const sockets = new Set<Bun.ServerWebSocket<Held>>();
  const server = Bun.serve<Held>({
    hostname: "127.0.0.1",
    port: 0,
    ...(tls === undefined ? {} : { tls }),
    async fetch(request, self) {
      const url = new URL(request.url);
      const headers = Object.fromEntries(request.headers);
      if (url.pathname.endsWith("/loki/api/v1/tail") && headers["upgrade"] === "websocket") return upgrade(fake, self, request, url, headers);
      const { status, text, type, headers: more } = fake.answer(request.method, url, headers, await request.bytes());
      const shown = fake.random.next() < fake.faults.cut ? text.slice(0, text.length / 2) : text;
      return new Response(status === 204 ? null : shown, { status, headers: { "Content-Type": type, ...more } });
    },
    websocket: {
      perMessageDeflate: false,
      idleTimeout: 0,
      sendPings: false,
      open(socket) {
        sockets.add(socket);
        socket.data.socket = socket;
        for (const act of socket.data.waiting.splice(0)) act();
      },
      message: () => {},
      close(socket) {
        sockets.delete(socket);
        socket.data.tail?.leave();
      },
    },
  });
  return {
    url: server.url.href.replace(/\/$/, ""),
    cut() {
      for (const socket of sockets) socket.terminate();
    },
    async [Symbol.asyncDispose]() {
      for (const tail of fake.tails) tail.leave();
      await server.stop(true);
    },
  };
}

function upgrade(fake: FakeLoki, server: Bun.Server<Held>, request: Request, url: URL, headers: Record<string, string>): Response | undefined {
  const held: Held = { tail: undefined, waiting: [], socket: undefined };
  const act = (what: (socket: Bun.ServerWebSocket<Held>) => void): void => {
    if (held.socket === undefined) held.waiting.push(() => held.socket && what(held.socket));
    else what(held.socket);
  };
  const client: TailClient = {
    frame: (text) => act((socket) => socket.send(text)),
    ping: () => act((socket) => socket.ping()),
    close: (code, reason) => act((socket) => (code === 1006 ? socket.terminate() : socket.close(code, reason))),
  };
  const tail = fake.tail(url, headers, client);
  if (!(tail instanceof FakeTail)) return new Response(tail.text, { status: tail.status, headers: { "Content-Type": tail.type } });
  held.tail = tail;
  return server.upgrade(request, { data: held }) ? undefined : new Response("Bad Request\n", { status: 400 });
}
