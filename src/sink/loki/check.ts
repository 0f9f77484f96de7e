/** `check` of a `loki` sink: a push without an entry, with the credentials, tenant and encoding of a delivery. It stores nothing. */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import { Client } from "./client.ts";
import type { Config } from "./config.ts";
import { refused } from "./fault.ts";

/** That nothing was in it is what the push was for: everything before that was passed. */
const nothingInIt = 422;

export async function check(config: Config, { doors }: CheckContext): Promise<Finding[]> {
  const client = await Client.open(config, doors);
  const what = `push nothing to ${client.place}`;
  try {
    const answer = await client.pushNothing(new AbortController().signal);
    if (answer.status === 204 || answer.status === nothingInIt) return [{ ok: true, what }];
    return [notOk(what, refused(answer, what, doors.clock.now()))];
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    return [notOk(what, cause)];
  }
}

function notOk(what: string, fault: Fault): Finding {
  return { ok: false, what, code: fault.code, message: fault.message, hint: fault.hint ?? "" };
}
