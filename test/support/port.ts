/** A port of 127.0.0.1 that nobody has, for a server whose address must be known before it starts. */
import { createServer } from "node:net";

/** The system gives it, and it is free again when this resolves: another process may still be faster. */
export async function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = createServer();
  server.once("error", reject);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => (typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port"))));
  });
  return promise;
}
