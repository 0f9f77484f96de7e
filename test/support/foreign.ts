/** A receiver of batches that is not logferry and answers as it is told: it keeps the records of the bodies it took with a 2xx. */
import type { Arrived } from "./lake.ts";

export interface Foreign extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What it took, in the order of arrival. */
  readonly records: Arrived[];
  /** When each request came, milliseconds, with its Idempotency-Key. */
  readonly requests: { readonly ms: number; readonly key: string }[];
  /** The answer to the next requests; 204 at first. A promise that never resolves is a receiver that hangs. */
  answer: (request: Request) => Response | Promise<Response>;
}

/** Starts it. `port` lets a test bring one back at the same address. */
export function startForeign(port = 0): Foreign {
  const server = Bun.serve({
    port,
    hostname: "127.0.0.1",
    async fetch(request) {
      foreign.requests.push({ ms: performance.now(), key: request.headers.get("idempotency-key") ?? "" });
      const body = await request.bytes();
      const answer = await foreign.answer(request);
      if (answer.ok && request.method === "POST") foreign.records.push(...decoded(body));
      return answer;
    },
  });
  const foreign: Foreign = {
    url: `${server.url.href}in`,
    port: server.port!,
    records: [],
    requests: [],
    answer: () => new Response(null, { status: 204 }),
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return foreign;
}

function decoded(body: Uint8Array): Arrived[] {
  const text = Bun.zstdDecompressSync(body).toString("utf8");
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => ({ ...(JSON.parse(line) as Arrived), object: "" }));
}

/** Text of `count` numbered lines `w=NAME n=0 …`, as lostAndRepeated counts them; `padding` bytes of what no compressor makes much smaller. */
export function numbered(name: string, from: number, count: number, padding = 20): string {
  const noise = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(Math.ceil(padding * 0.75)))).toString("base64");
  return Array.from({ length: count }, (_, n) => `w=${name} n=${from + n} ${noise()}\n`).join("");
}
