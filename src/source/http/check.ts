/** `check` of an `http` source: is the address free, and can the files be read? A running instance has the address itself. */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { openSecret } from "../../core/secret.ts";
import type { HttpConfig } from "./config.ts";
import { listenFailed } from "./fault.ts";
import { tokensOf } from "./token.ts";

export async function check(config: HttpConfig, { doors }: CheckContext): Promise<Finding[]> {
  const files = [...tokensOf(config).map(({ file }) => file), ...(config.tls === undefined ? [] : [config.tls.cert_file, config.tls.key_file])];
  const reads = files.map((path) => find(`read ${path}`, () => openSecret(doors.disk, path).read()));
  const { host, port } = config.listen;
  const bind = find(`listen on ${host}:${port}`, async () => {
    try {
      const server = doors.network.serve({ listen: config.listen, handle: () => new Response(null, { status: 503 }), bodyBytesMax: 1 });
      await server.close(0);
    } catch (cause) {
      throw listenFailed(config.listen, cause);
    }
  });
  return Promise.all([...reads, bind]);
}

async function find(what: string, attempt: () => Promise<unknown>): Promise<Finding> {
  try {
    await attempt();
    return { ok: true, what };
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    return { ok: false, what, code: cause.code, message: cause.message, hint: cause.hint ?? "" };
  }
}
