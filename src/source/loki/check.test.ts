/** `check` over the network it is given; test/loki/server.test.ts asks a server. */
import { expect, test } from "bun:test";
import * as v from "valibot";
import { SimulatedClock } from "../../../test/support/loki/clock.ts";
import { lokiNetwork } from "../../../test/support/loki/door.ts";
import { FakeLoki } from "../../../test/support/loki/fake.ts";
import { systemDoors } from "../../core/doors.ts";
import { check } from "./check.ts";
import { schema } from "./config.ts";

async function findings(change: (fake: FakeLoki) => void): Promise<(string | undefined)[]> {
  const clock = new SimulatedClock();
  const fake = new FakeLoki(clock);
  change(fake);
  const doors = { ...systemDoors, clock, network: lokiNetwork(fake) };
  let over = false;
  const found = check(v.parse(schema, { type: "loki", url: "http://loki", query: '{app="web"}', tenant: "t1" }), {
    name: "a",
    host: "h",
    doors,
  }).finally(() => (over = true));
  await clock.pass(120_000, () => over);
  return (await found).map(({ ok, code }) => (ok ? "ok" : code));
}

test("a tail that is refused after it was opened is found, and one that never answers", async () => {
  expect(await findings(() => {})).toEqual(["ok", "ok", "ok"]);
  expect(await findings((fake) => (fake.limits.tails = 0))).toEqual(["ok", "ok", "loki_tail_limit"]);
  expect(await findings((fake) => (fake.faults.handshake = () => 404))).toEqual(["ok", "ok", "loki_tail_refused"]);
  expect(await findings((fake) => (fake.faults.busy = true))).toEqual(["loki_busy"]);
});
