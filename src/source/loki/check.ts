/** `check` of a `loki` source: are the credentials taken, does the query stand, is a tail permitted? It reads one line at most. */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { withDeadline } from "../../core/deadline.ts";
import { Fault } from "../../core/fault.ts";
import { Client } from "./client.ts";
import type { LokiConfig } from "./config.ts";
import { Decoder } from "./entry.ts";
import { judgeEnd, type TailEnd } from "./fault.ts";
import { Query } from "./query.ts";
import { nsOfMs } from "./time.ts";

const openMs = 10_000;
/** A tail that is refused after it was opened is refused at once: limits are looked at before the first line. */
const staysMs = 1_500;
const backMs = 60_000;

export async function check(config: LokiConfig, { name, host, doors }: CheckContext): Promise<Finding[]> {
  const client = new Client(config, doors);
  const kill = new AbortController().signal;
  const now = nsOfMs(doors.clock.now());
  const findings: Finding[] = [];
  // Gateways often hide /ready; labels are what every way to Loki must let through.
  findings.push(await find(`reach ${client.place} and be let in`, () => client.data("labels", {}, kill)));
  if (findings[0]?.ok !== true) return findings;
  const query = new Query(client, new Decoder(host, name, {}), config.query, { crowded: () => {}, flagged: () => {} });
  const reads = (): Promise<void> => query.read(now - nsOfMs(backMs), now, () => Promise.resolve(), kill);
  findings.push(await find(`query ${config.query}`, reads));
  if (config.mode === "tail" && findings[1]?.ok === true) findings.push(await find("open a tail (WebSocket)", () => opens(config, client, doors)));
  return findings;
}

async function opens(config: LokiConfig, client: Client, { clock }: CheckContext["doors"]): Promise<void> {
  const { promise: ended, resolve } = Promise.withResolvers<TailEnd>();
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  const params = { query: config.query, start: String(nsOfMs(clock.now() - backMs)), limit: "1" };
  const socket = await client.tail(params, { opened: open, message: () => {}, ping: () => {}, closed: resolve });
  const stays = opened.then(() => clock.sleep(staysMs)).then(() => undefined);
  try {
    const end = await withDeadline(clock, openMs, new AbortController().signal, () => Promise.race([ended, stays]));
    const fault = end === undefined ? undefined : judgeEnd(end, client.place).fault;
    if (fault !== undefined) throw fault;
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw judgeEnd({ code: 1006, reason: "nothing came in time", opened: false }, client.place).fault ?? cause;
  } finally {
    socket.close();
  }
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
