/** A port of 127.0.0.1 that nobody has, for a server whose address must be known before it starts, and which may be down for a while. */
import { createServer } from "node:net";

/** Systems give outgoing connections and servers on port 0 a port from 32768 on (Linux) or 49152 on: below, nobody gets one by chance. */
const first = 15_000;
const count = 17_000;

/** Free when this resolves, and not given away by the system while its server is down. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const server = createServer();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  return promise;
}
