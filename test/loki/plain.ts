/**
 * A plain polling source, as others have it, to compare with: every 20 seconds it reads forward from the last time it saw to ten
 * seconds ago, in pages of 1,000. With `lateMs` it also reads so far back once more every five minutes, which is what it costs a
 * poller to find late lines.
 */
import type { FakeLoki } from "../support/loki/fake.ts";

const intervalMs = 20_000;
const settleMs = 10_000;
const lateEveryMs = 5 * 60_000;

export class Plain {
  readonly #fake: FakeLoki;
  readonly #lateMs: number;
  readonly #seen = new Set<string>();
  readonly #limit: number;
  #cursor: bigint;
  #pollMs: number;
  #lateDueMs: number;

  constructor(fake: FakeLoki, lateMs: number) {
    this.#fake = fake;
    this.#lateMs = lateMs;
    this.#limit = Math.min(1000, fake.limits.entries);
    const nowMs = fake.clock.now();
    this.#cursor = BigInt(nowMs - 3_600_000) * 1_000_000n;
    this.#pollMs = nowMs + intervalMs;
    this.#lateDueMs = nowMs + lateEveryMs;
  }

  get held(): number {
    return this.#seen.size;
  }

  /** Reads if it is time to. */
  poll(): void {
    const nowMs = this.#fake.clock.now();
    if (nowMs < this.#pollMs) return;
    this.#pollMs = nowMs + intervalMs;
    const to = BigInt(Math.floor(nowMs + this.#fake.faults.skewMs - settleMs)) * 1_000_000n;
    this.#read(this.#cursor, to);
    this.#cursor = to;
    if (this.#lateMs === 0 || nowMs < this.#lateDueMs) return;
    this.#lateDueMs = nowMs + lateEveryMs;
    this.#read(to - BigInt(this.#lateMs + lateEveryMs) * 1_000_000n, to);
  }

  #read(from: bigint, to: bigint): void {
    for (let cursor = from; cursor < to;) {
      const params = new URLSearchParams({
        query: '{app="web"}',
        start: String(cursor),
        end: String(to),
        limit: String(this.#limit),
        direction: "forward",
      });
      const { text } = this.#fake.answer("GET", new URL(`http://loki/loki/api/v1/query_range?${params.toString()}`), {
        "x-scope-orgid": "t1",
        "x-loki-response-encoding-flags": "categorize-labels",
      });
      const { data } = JSON.parse(text) as { data: { result: { stream: object; values: [string, string, object][] }[] } };
      let count = 0;
      let last = cursor;
      for (const { stream, values } of data.result) {
        for (const [time, line, extra] of values) {
          this.#seen.add(JSON.stringify([stream, time, line, extra]));
          if (BigInt(time) > last) last = BigInt(time);
          count++;
        }
      }
      if (count < this.#limit) return;
      cursor = last > cursor ? last : cursor + 1n;
    }
  }
}
