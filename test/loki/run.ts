/** One seed: ten simulated minutes of a Loki with every fault on, the source killed now and then, and what came of it. */
import { SimulatedClock } from "../support/loki/clock.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { Seeded } from "../sim/world.ts";
import { Plain } from "./plain.ts";
import { committed, identities, minuteMs, Rig, type Life } from "./rig.ts";
import { heal, latenessMinutes, Scenario, tenMinutesMs } from "./scenario.ts";

export type Mode = "tail" | "poll";

/** What was asked of the server, and how much it answered. */
export interface Asked {
  readonly requests: number;
  readonly bytes: number;
}

export interface Outcome {
  /** What is wrong with it; undefined: nothing. */
  readonly failure: string | undefined;
  readonly entries: number;
  readonly kills: number;
  /** Declared, and lost. */
  readonly declared: number;
  readonly asked: Asked;
}

/** After the faults: two late sweeps and what settles. What came too late is declared by the second. */
const healedMs = 11 * minuteMs;

/** `well`: the server and the source have nothing wrong with them, but for tails that lose streams. */
export async function simulate(seed: number, mode: Mode, well = false): Promise<Outcome> {
  const clock = new SimulatedClock();
  const fake = new FakeLoki(clock, new Seeded(seed + 3_000_003));
  const rig = new Rig(fake, clock);
  const scenario = new Scenario(seed, fake);
  if (well) heal(fake, rig);
  const config = { mode, start: "1h", lateness: `${latenessMinutes}m` };
  let life = await rig.begin(config);
  let kills = 0;
  for (let passed = 0; passed < tenMinutesMs;) {
    scenario.push(fake);
    if (!well) scenario.trouble(fake, rig, passed);
    const ms = scenario.pauseMs();
    await clock.pass(ms);
    passed += ms;
    if (!well && scenario.killed()) {
      life.kill();
      await clock.pass(10);
      await life.done;
      life = await rig.begin(config);
      kills++;
    }
  }
  heal(fake, rig);
  await clock.pass(healedMs);
  const declared = life.source.status().lost_entries ?? 0;
  const failure = (await ended(life, clock)) ?? judge(fake, rig, declared) ?? (well ? slow(rig, scenario) : undefined);
  return { failure, entries: rig.records.length, kills, declared, asked: { requests: fake.asked.length, bytes: fake.answerBytes } };
}

/** The same lines, read by a poller from a server that is well. */
export async function simulatePlain(seed: number, late: boolean): Promise<Asked & { missing: number }> {
  const clock = new SimulatedClock();
  const fake = new FakeLoki(clock, new Seeded(seed + 3_000_003));
  const scenario = new Scenario(seed, fake);
  Object.assign(fake.faults, { broken: 0, cut: 0 });
  const poller = new Plain(fake, late ? latenessMinutes * minuteMs : 0);
  for (let passed = 0; passed < tenMinutesMs;) {
    scenario.push(fake);
    const ms = scenario.pauseMs();
    await clock.pass(ms);
    passed += ms;
    poller.poll();
  }
  await clock.pass(healedMs);
  poller.poll();
  return { requests: fake.asked.length, bytes: fake.answerBytes, missing: identities(fake).length - poller.held };
}

async function ended(life: Life, clock: SimulatedClock): Promise<string | undefined> {
  life.stop();
  await clock.pass(5000);
  let over = false;
  void life.done.then(() => (over = true));
  await clock.pass(1);
  return over ? undefined : "it does not stop";
}

function judge(fake: FakeLoki, rig: Rig, declared: number): string | undefined {
  const wanted = new Set(identities(fake));
  const got = committed(rig);
  const held = new Set(got);
  const missing = [...wanted].filter((one) => !held.has(one));
  const strange = [...held].filter((one) => !wanted.has(one));
  if (got.length > held.size) return `${got.length - held.size} entries came twice, the first: ${firstTwice(got)}`;
  if (strange.length > 0) return `${strange.length} entries were never there, the first: ${strange[0]}`;
  if (missing.length === declared) return undefined;
  return `${missing.length} entries are missing and ${declared} are declared, the first: ${missing[0]}`;
}

/** What is not late and no tail brought is there after a sweep's interval, what settles and a bucket, with five seconds to read and commit. */
const promptMs = 20_000 + 10_000 + 10_000 + 5000;

function slow(rig: Rig, { onTime }: Scenario): string | undefined {
  for (const { timestamp, message, seenMs } of rig.records) {
    const pushedMs = onTime.get(`${timestamp} ${message}`);
    if (pushedMs !== undefined && seenMs - pushedMs > promptMs) return `an entry of ${timestamp} took ${Math.round((seenMs - pushedMs) / 1000)} s`;
  }
  return undefined;
}

/** Of texts in order. */
function firstTwice(texts: readonly string[]): string | undefined {
  return texts.find((text, index) => text === texts[index + 1]);
}
