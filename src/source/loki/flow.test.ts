import { describe, expect, test } from "bun:test";
import { memoryDisk } from "../../../test/loki/rig.ts";
import type { Chunk, Json, SourceContext } from "../../core/contract.ts";
import { systemDoors } from "../../core/doors.ts";
import { Fault } from "../../core/fault.ts";
import { Decoder, type Entry } from "./entry.ts";
import { Flow } from "./flow.ts";
import { Seen } from "./seen.ts";

const decoder = new Decoder("h", "s", {});

function entries(...lines: string[]): Entry[] {
  return decoder.entries([{ stream: { a: "1" }, values: lines.map((line, n) => [String(1_795_397_420_000_000_000n + BigInt(n)), line, {}]) }]);
}

/** A spool that answers when it is told to. */
async function world() {
  const chunks: { chunk: Chunk; text: string; done: PromiseWithResolvers<void> }[] = [];
  const seen = await Seen.open({ disk: memoryDisk(), directory: "/state", positions: new Map(), damaged: () => {} });
  const emit = (chunk: Chunk): Promise<void> => {
    const done = Promise.withResolvers<void>();
    chunks.push({ chunk, text: Buffer.from(chunk.bytes).toString(), done });
    return done.promise;
  };
  const durable = new Map<string, Json>();
  return { chunks, durable, flow: new Flow({ doors: systemDoors } as SourceContext, decoder, emit, seen, durable) };
}

describe("the flow", () => {
  test("emits what is new and wanted, with its keys; durable is what was answered", async () => {
    const { flow, chunks, durable } = await world();
    flow.floor = 1_795_397_420_000_000_001n;
    expect(await flow.take(entries("too early", "one", "two"))).toBe(2);
    expect(await flow.take(entries("too early", "one", "two"))).toBe(0);
    expect(chunks.length).toBe(1);
    expect(chunks[0]?.text).toContain('"message":"one"');
    expect(chunks[0]?.text).not.toContain("too early");
    expect(durable.size).toBe(0);
    chunks[0]?.done.resolve();
    await flow.settled(new AbortController().signal);
    expect([...durable.keys()]).toEqual(["k:0"]);
  });

  test("commits a position after all that was emitted before it, as it is then", async () => {
    const { flow, chunks, durable } = await world();
    await flow.take(entries("one"));
    let mark = "early";
    const committed = flow.commit(() => ({ w: mark }));
    mark = "late";
    chunks[0]?.done.resolve();
    await flow.take(entries("one", "two"));
    while (chunks.length < 3) await Promise.resolve();
    chunks[1]?.done.resolve();
    chunks[2]?.done.resolve();
    expect(await committed).toBe(true);
    expect(durable.get("w")).toBe("late");
  });

  test("is broken by what is rejected: nothing goes through it any more, and durable is what it was", async () => {
    const { flow, chunks, durable } = await world();
    await flow.take(entries("one"));
    chunks[0]?.done.reject(new Fault({ code: "spool_closed", retry: "never", message: "m" }));
    await flow.settled(new AbortController().signal);
    expect([(flow.broken as Fault).code, flow.cut.signal.aborted]).toEqual(["spool_closed", true]);
    expect(await flow.take(entries("one", "two"))).toBe(0);
    expect(await flow.commit(() => ({ w: "1" }))).toBe(false);
    expect([chunks.length, durable.size]).toEqual([1, 0]);
  });

  test("sweeps wait at 4 MiB in flight, a tail is given up at 24", async () => {
    const { flow, chunks } = await world();
    await flow.take(entries("x".repeat(5 * 1024 * 1024)));
    let room = false;
    const waiting = flow.room(new AbortController().signal).then(() => (room = true));
    await Bun.sleep(5);
    expect([room, flow.flooded(0), flow.flooded(20 * 1024 * 1024)]).toEqual([false, false, true]);
    chunks[0]?.done.resolve();
    await waiting;
    expect(room).toBe(true);
  });
});
