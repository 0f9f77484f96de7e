import { describe, expect, test } from "bun:test";
import { systemClock } from "./clock.ts";
import { withDeadline } from "./deadline.ts";

const never = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(new Error("gave up"));
    signal.addEventListener("abort", () => reject(new Error("gave up")));
  });

describe("withDeadline", () => {
  test("settles as the work does", async () => {
    const { signal } = new AbortController();
    expect(await withDeadline(systemClock, 60_000, signal, () => Promise.resolve(7))).toBe(7);
    await expect(withDeadline(systemClock, 60_000, signal, () => Promise.reject(new Error("refused")))).rejects.toThrow("refused");
  });

  test("cuts work that takes too long, and says how long it waited", async () => {
    const { signal } = new AbortController();
    await expect(withDeadline(systemClock, 100, signal, never)).rejects.toThrow("no answer within 0.1 s");
  });

  test("cuts work on kill, also when it was killed before", async () => {
    const kill = new AbortController();
    const running = withDeadline(systemClock, 60_000, kill.signal, never);
    kill.abort();
    await expect(running).rejects.toThrow("cut by shutdown");
    await expect(withDeadline(systemClock, 60_000, kill.signal, never)).rejects.toThrow("cut by shutdown");
  });

  test("does not wait for work that ignores its signal", async () => {
    const { signal } = new AbortController();
    await expect(withDeadline(systemClock, 20, signal, () => new Promise(() => {}))).rejects.toThrow("no answer within 0 s");
  });
});
