import { expect, test } from "bun:test";
import { SimulatedClock } from "../../../test/support/loki/clock.ts";
import type { WebSocketLike } from "../../core/network.ts";
import type { Client, TailEvents } from "./client.ts";
import { Tail } from "./tail.ts";

async function world() {
  const clock = new SimulatedClock();
  let events: TailEvents | undefined;
  let closed = 0;
  const open = (_: unknown, given: TailEvents): Promise<WebSocketLike> => {
    events = given;
    return Promise.resolve({ close: () => void closed++ });
  };
  const messages: string[] = [];
  const tail = await Tail.open({ tail: open } as unknown as Client, {}, clock, (text) => messages.push(text));
  if (events === undefined) throw new Error("not opened");
  return { clock, tail, events, messages, closed: () => closed };
}

test("is live once it is open, for as long as pings come", async () => {
  const { clock, tail, events, closed } = await world();
  expect(tail.live).toBe(false);
  events.opened();
  for (let second = 0; second < 60; second++) {
    await clock.pass(1000);
    events.ping();
  }
  expect([tail.live, closed()]).toEqual([true, 0]);
  await clock.pass(21_000);
  expect([tail.live, tail.end?.code, closed()]).toEqual([false, 1006, 1]);
  expect(tail.end?.reason).toContain("not even a ping");
});

test("one that never opens is given up too", async () => {
  const { clock, tail } = await world();
  await clock.pass(21_000);
  expect(tail.end).toMatchObject({ opened: false });
});

test("after its end nothing is told, and the first end counts", async () => {
  const { tail, events, messages } = await world();
  events.opened();
  events.message("one");
  events.closed({ code: 1011, reason: "because", opened: true });
  events.message("two");
  tail.close();
  expect([messages, tail.end?.reason]).toEqual([["one"], "because"]);
});
