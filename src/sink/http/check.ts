/**
 * `check` of an HTTP sink: one OPTIONS request, with the credentials and TLS files of a delivery. It stores nothing anywhere.
 *
 * Not every receiver judges a token on OPTIONS; one that does not is said to be reached, not to accept.
 */
import type { CheckContext, Finding } from "../../core/contract.ts";
import { Fault } from "../../core/fault.ts";
import type { NetworkAnswer } from "../../core/network.ts";
import type { Config } from "./config.ts";
import { refused } from "./fault.ts";
import { receiverOf } from "./receiver.ts";
import { Client } from "./client.ts";

export async function check(config: Config, context: CheckContext): Promise<Finding[]> {
  const client = new Client(config, context.doors);
  const what = `reach ${client.place}`;
  try {
    const answer = await client.send("OPTIONS", {}, undefined, new AbortController().signal);
    return [judge(answer, what, context.doors.clock.now())];
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    return [notOk(what, cause)];
  }
}

function judge(answer: NetworkAnswer, what: string, nowMs: number): Finding {
  const { status } = answer;
  const kind = receiverOf(answer.headers) === null ? "" : ", a logferry";
  if (status >= 200 && status < 300) return { ok: true, what: `${what} (answers${kind})` };
  // No OPTIONS there; what a POST gets, only a delivery can tell.
  if (status === 400 || status === 405 || status === 501)
    return { ok: true, what: `${what} (answers${kind}; whether it takes the credentials, the first delivery will tell)` };
  return notOk(what, refused(answer, what, nowMs));
}

function notOk(what: string, fault: Fault): Finding {
  return { ok: false, what, code: fault.code, message: fault.message, hint: fault.hint ?? "" };
}
