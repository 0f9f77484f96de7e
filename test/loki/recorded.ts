/** Exchanges recorded from a real Loki, as they lie in `recordings/`: its README is theirs. */
import { readdirSync, readFileSync } from "node:fs";
import { pairsOf } from "../support/loki/store.ts";

/** One request, and what it was answered. */
export interface Http {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
  readonly status: number;
  readonly answer: string;
}

export interface Step {
  readonly at_ms: number;
  readonly http?: Http;
  readonly open?: { ws: string; path: string; headers: Record<string, string>; status: number; answer: string };
  readonly frame?: { ws: string; op: string; text?: string; code?: number; reason?: string; text_bytes?: number };
  readonly signal?: string;
}

const folder = `${import.meta.dir}/recordings`;
/** Of the recordings. */
export const names = readdirSync(folder).map((name) => name.replace(".json", ""));

export function stepsOf(name: string): Step[] {
  return (JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8")) as { steps: Step[] }).steps;
}

/** Wall time of `at_ms` 0: the first push says its own. */
export function baseOf(steps: readonly Step[]): number {
  for (const { at_ms, http, open } of steps) {
    const time = http?.path.endsWith("/push") === true ? /\["(\d{19})"/.exec(String(http.body))?.[1] : undefined;
    if (time !== undefined) return Number(time.slice(0, 13)) - at_ms + 2;
    const start = /start=(\d{19})/.exec(open?.path ?? "")?.[1];
    // 40 days and a minute ahead are the two that are refused.
    if (start !== undefined) return Number(start.slice(0, 13)) + 40 * 86_400_000 - at_ms;
  }
  return 1_795_404_760_000;
}

/** Names of headers in lower case. */
export function lowered(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** The body as it was sent; undefined when it was left out of the recording. */
export function bodyOf(body: unknown): Uint8Array | undefined {
  if (typeof body !== "object" || body === null) return Buffer.from(typeof body === "string" ? body : "");
  return "base64" in body ? Buffer.from(String(body.base64), "base64") : undefined;
}

/** Answers are compared without what was measured, and streams in any order. */
export function essence(text: string): unknown {
  if (!text.startsWith("{")) return text;
  const { data } = JSON.parse(text) as { data: { result?: unknown[] } | unknown[] };
  if (Array.isArray(data)) return data.map((one) => JSON.stringify(pairsOf(one as object))).toSorted();
  const { stats: _, ...rest } = data as { stats?: unknown; result?: unknown[] };
  return { ...rest, result: (rest.result ?? []).map((one) => JSON.stringify(one)).toSorted() };
}
