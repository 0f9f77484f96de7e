/** Faults of the `http` source itself; what is said to senders is in answer.ts. */
import { Fault } from "../../core/fault.ts";

/** Why an address cannot be listened on. */
export function listenFailed({ host, port }: { host: string; port: number }, cause: unknown): Fault {
  return new Fault({
    code: "http_listen_failed",
    retry: "never",
    message: `listen on ${host.includes(":") ? `[${host}]` : host}:${port}`,
    hint: "choose an address of this machine and a port that nothing else has (ss -ltnp shows who has it); ports below 1024 need privileges",
    cause,
  });
}
