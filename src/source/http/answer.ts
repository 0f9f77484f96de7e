/**
 * Answers. What is not taken is said as JSON, for people and programs alike:
 * `{"error":"line 7: not a JSON object","code":"record_invalid","line":7,"hint":"…"}`.
 */
import type { Json } from "../../core/contract.ts";

/** What stands in a refusal beside its words. */
export interface Refusal {
  readonly status: number;
  /** Stable, with a line in the operating guide. */
  readonly code: string;
  readonly error: string;
  readonly hint: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly more?: Readonly<Record<string, Json>>;
}

export function refuse({ status, code, error, hint, headers = {}, more = {} }: Refusal): Response {
  return Response.json({ error, code, ...more, hint }, { status, headers });
}

/** 503: nothing of the request was stored; the same may be sent again. */
export function later(code: string, error: string, seconds: number): Response {
  const hint = `send the same again after ${seconds} s; nothing of it was stored`;
  return refuse({ status: 503, code, error, hint, headers: { "Retry-After": String(seconds) } });
}

export function tooLarge(error: string, bytesMax: number): Response {
  const hint = `send less at once, or raise body_bytes_max (now ${bytesMax} bytes, decoded)`;
  return refuse({ status: 413, code: "http_body_too_large", error, hint });
}
