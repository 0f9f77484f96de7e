/** A real HTTP proxy at a port of 127.0.0.1: CONNECT to anywhere, and GET with a whole URL; with a password if one is given. */
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";

export interface Proxy extends AsyncDisposable {
  /** For `HTTPS_PROXY` and `HTTP_PROXY`, with user and password when there are any. */
  readonly url: string;
  /** `CONNECT host:port` and `GET http://…` in the order they came; `407` behind those that had no or a wrong password. */
  readonly asked: string[];
}

export async function startProxy(credentials?: { user: string; password: string }): Promise<Proxy> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const wanted = credentials === undefined ? undefined : `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString("base64")}`;
  const refused = (message: IncomingMessage, what: string): boolean => {
    const wrong = wanted !== undefined && message.headers["proxy-authorization"] !== wanted;
    asked.push(wrong ? `${what} 407` : what);
    return wrong;
  };
  const server = createServer((message: IncomingMessage, response: ServerResponse) => {
    const url = message.url ?? "";
    if (refused(message, `${message.method} ${url}`)) {
      response.writeHead(407, { "Proxy-Authenticate": "Basic" }).end();
      return;
    }
    const { host: _, "proxy-authorization": __, ...headers } = message.headers;
    const onward = request(url, { method: message.method ?? "GET", headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    message.pipe(onward);
  });
  server.on("connect", (message: IncomingMessage, client: Socket, head: Buffer) => {
    client.on("error", () => client.destroy());
    if (refused(message, `CONNECT ${message.url}`)) {
      client.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    const [host = "", port = ""] = (message.url ?? "").split(":");
    const far = connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      far.write(head);
      far.pipe(client);
      client.pipe(far);
    });
    far.on("error", () => client.destroy());
    for (const socket of [client, far]) {
      sockets.add(socket);
      socket.on("close", () => {
        client.destroy();
        far.destroy();
        sockets.delete(socket);
      });
    }
  });
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    resolve(typeof address === "object" && address !== null ? address.port : 0);
  });
  const port = await promise;
  const login = credentials === undefined ? "" : `${credentials.user}:${credentials.password}@`;
  return {
    url: `http://${login}127.0.0.1:${port}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      await closed.promise;
    },
  };
}
