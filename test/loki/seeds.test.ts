/**
 * The source against the fake with every fault on, seed by seed, ten simulated minutes each: what the server took within `lateness`
 * is committed, once, though the source is killed now and then.
 */
import { expect, test } from "bun:test";
import { SimulatedClock } from "../support/loki/clock.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { Seeded } from "../sim/world.ts";
import { committed, identities, Rig, type Life } from "./rig.ts";

const minuteMs = 60_000;

/** As many as fit into a minute of one core; all 200 with LOKI_SEEDS=200. */
const seeds = Number(process.env["LOKI_SEEDS"] ?? 12);

interface Outcome {
  readonly rig: Rig;
  readonly fake: FakeLoki;
  readonly kills: number;
}

async function runSeed(seed: number, mode: "tail" | "poll"): Promise<Outcome> {
  const random = new Seeded(seed);
  const clock = new SimulatedClock();
  const fake = new FakeLoki(clock, random);
  const rig = new Rig(fake, clock);
  Object.assign(fake.faults, {
    slots: 4 + random.below(4),
    silent: random.next() * 0.2,
    reported: random.chance(0.5) ? 0.02 : 0,
    replicas: random.next() * 0.2,
    broken: random.next() * 0.1,
    cut: random.next() * 0.1,
    skewMs: random.below(4000) - 2000,
    uncountable: random.chance(0.15),
  });
  fake.limits.entries = 50 + random.below(400);
  fake.limits.tailMs = 60_000 + random.below(300_000);
  rig.network.slow = random.next() * 0.1;
  const config = { mode, start: "1h", lateness: "5m" };
  let life = await rig.begin(config);
  let kills = 0;
  let number = 0;
  for (let passed = 0; passed < 10 * minuteMs;) {
    number = act(fake, random, number);
    const ms = 100 + random.below(2000);
    await clock.pass(ms);
    passed += ms;
    if (random.chance(0.03)) {
      life.kill();
      await clock.pass(10);
      await life.done;
      life = await rig.begin(config);
      kills++;
    }
  }
  await finish(fake, rig, clock, life);
  return { rig, fake, kills };
}

/** Pushes something, or sets a fault. Returns the number of the next line. */
function act(fake: FakeLoki, random: Seeded, from: number): number {
  let number = from;
  const { faults } = fake;
  faults.busy = faults.busy ? !random.chance(0.1) : random.chance(0.01);
  faults.mute = faults.mute ? !random.chance(0.1) : random.chance(0.01);
  if (random.chance(0.02)) for (const tail of fake.tails) tail.close(random.chance(0.5) ? 1006 : 1011, "all ingesters closed the connection");
  const streams = Array.from({ length: 1 + random.below(10) }, (_, stream) => {
    const values = Array.from({ length: 1 + random.below(6) }, (): [string, string, Record<string, string>] => {
      // Late by up to four minutes now and then, a little ahead now and then, often at one time with others.
      const offsetMs = random.chance(0.05) ? -random.below(4 * minuteMs) : random.chance(0.01) ? random.below(30_000) : -random.below(50);
      const ns = BigInt(Math.floor(fake.clock.now() + offsetMs)) * 1_000_000n + (random.chance(0.5) ? BigInt(random.below(1_000_000)) : 0n);
      const line = random.chance(0.1) ? "the same" : `line ${number++}\nof two`;
      return [String(ns), line, random.chance(0.3) ? { trace: String(random.below(3)) } : {}];
    });
    return { stream: { app: "web", pod: String(stream) }, values };
  });
  fake.push(streams);
  return number;
}

/** Faults off, and time enough for all that is still to be found: a late sweep and what settles. */
async function finish(fake: FakeLoki, rig: Rig, clock: SimulatedClock, life: Life): Promise<void> {
  Object.assign(fake.faults, { silent: 0, reported: 0, broken: 0, cut: 0, busy: false, mute: false });
  rig.network.slow = 0;
  await clock.pass(7 * minuteMs);
  life.stop();
  await clock.pass(5000);
  await life.done;
}

for (const mode of ["tail", "poll"] as const) {
  test(`${mode}: complete and without repetition, whatever goes wrong, killed now and then`, async () => {
    let kills = 0;
    let entries = 0;
    for (let seed = 1; seed <= (mode === "tail" ? seeds : Math.ceil(seeds / 4)); seed++) {
      const { rig, fake, kills: killed } = await runSeed(seed, mode);
      kills += killed;
      entries += rig.records.length;
      const wanted = identities(fake);
      const got = committed(rig);
      const held = new Set(got);
      const missing = wanted.filter((one) => !held.has(one));
      const extra = got.length - new Set(got).size;
      expect({ seed, missing: missing.length, extra, count: got.length }).toEqual({ seed, missing: 0, extra: 0, count: wanted.length });
    }
    expect(kills).toBeGreaterThan(0);
    expect(entries).toBeGreaterThan(1000);
  }, 600_000);
}
