/** The Loki under test: the fake behind a real server, or with `LOKI_BIN` a real one. `await using loki = await startLoki({ … });` */
import { FakeLoki, type Limits } from "./fake.ts";
import { startReal } from "./real.ts";
import { serveLoki } from "./server.ts";
import type { PushedStream } from "./store.ts";

const executable = process.env["LOKI_BIN"] ?? "";

/** Whether it is a real one. */
export const isReal = executable !== "";

export interface LokiUnderTest extends AsyncDisposable {
  readonly url: string;
  /** With its faults; undefined for a real one. */
  readonly fake: FakeLoki | undefined;
  /** One push over HTTP. */
  push(streams: readonly PushedStream[], tenant?: string): Promise<{ status: number; text: string }>;
}

export async function startLoki(limits: Partial<Limits> = {}): Promise<LokiUnderTest> {
  const fake = new FakeLoki();
  Object.assign(fake.limits, { tickMs: 20 }, limits);
  fake.faults.slots = 6;
  const server = isReal ? await startReal(executable, fake.limits) : serveLoki(fake);
  return {
    url: server.url,
    fake: isReal ? undefined : fake,
    async push(streams, tenant = "t1") {
      const answer = await fetch(`${server.url}/loki/api/v1/push`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Scope-OrgID": tenant },
        body: JSON.stringify({ streams }),
      });
      return { status: answer.status, text: await answer.text() };
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
