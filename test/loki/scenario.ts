/**
 * What a seed draws: what is pushed and when, what goes wrong, when the source is killed. Three streams of chance that do not touch
 * each other, so that the same lines are pushed at the same times whoever reads them.
 */
import { Fault } from "../../src/core/fault.ts";
import { Seeded } from "../sim/world.ts";
import type { FakeLoki } from "../support/loki/fake.ts";
import type { PushedStream } from "../support/loki/store.ts";
import { minuteMs, timeOf, type Rig } from "./rig.ts";

/** How far behind an entry may come and must still be found. */
export const latenessMinutes = 5;
export const tenMinutesMs = 10 * minuteMs;

/** Every end of a tail that loki.md tells of. */
const ends: readonly (readonly [number, string])[] = [
  [1000, ""],
  [1006, ""],
  [1011, "reached tail max duration limit"],
  [1011, "all ingesters closed the connection"],
  [1011, "rpc error: code = Code(400) desc = max concurrent tail requests limit exceeded, count > limit (11 > 10)"],
  [1011, "could not write JSON tail response: write tcp 127.0.0.1:3100: broken pipe"],
  [1011, "rpc error: code = Canceled desc = grpc: the client connection is closing"],
  [1011, "no active ingester found"],
];
const handshakes = [400, 401, 404, 426, 429, 500, 502, 503];

export class Scenario {
  readonly #pushes: Seeded;
  readonly #troubles: Seeded;
  readonly #kills: Seeded;
  /** The server counts, so what it will not give can be declared: the two losses by construction happen. */
  readonly #declares: boolean;
  /** When what is not late was pushed, by time and line. */
  readonly onTime = new Map<string, number>();
  #number = 0;
  /** What the troubles are set to now, in simulated milliseconds since the start, by name. */
  readonly #until = new Map<string, number>();

  constructor(seed: number, fake: FakeLoki) {
    this.#pushes = new Seeded(seed);
    this.#troubles = new Seeded(seed + 1_000_003);
    this.#kills = new Seeded(seed + 2_000_003);
    const troubles = this.#troubles;
    Object.assign(fake.faults, {
      slots: 4 + troubles.below(4),
      silent: troubles.next() * 0.2,
      reported: troubles.chance(0.5) ? 0.02 : 0,
      replicas: troubles.next() * 0.2,
      broken: troubles.next() * 0.1,
      cut: troubles.next() * 0.1,
      skewMs: troubles.chance(0.3) ? troubles.below(60_000) - 30_000 : troubles.below(4000) - 2000,
      uncountable: troubles.chance(0.15),
    });
    this.#declares = fake.faults.uncountable === false;
    fake.limits.entries = 50 + troubles.below(400);
    fake.limits.tailMs = 60_000 + troubles.below(300_000);
  }

  /** Until the next step, milliseconds. */
  pauseMs(): number {
    return 100 + this.#pushes.below(2000);
  }

  killed(): boolean {
    return this.#kills.chance(0.03);
  }

  /** Sets and takes back what goes wrong, `passedMs` after the start. */
  trouble(fake: FakeLoki, rig: Rig, passedMs: number): void {
    const random = this.#troubles;
    const lasts = (name: string, share: number, msMax: number): boolean => {
      if (random.chance(share)) this.#until.set(name, passedMs + random.below(msMax));
      return (this.#until.get(name) ?? 0) > passedMs;
    };
    const { faults } = fake;
    faults.busy = lasts("busy", 0.01, minuteMs);
    faults.mute = lasts("mute", 0.01, minuteMs);
    rig.held = lasts("held", 0.01, minuteMs);
    rig.network.slow = lasts("slow", 0.05, 20_000) ? 0.3 : 0;
    rig.refuse = lasts("refuse", 0.005, 3000) ? new Fault({ code: "test_refused", retry: "later", message: "not now" }) : undefined;
    const status = handshakes[random.below(handshakes.length)] ?? 500;
    if (lasts("handshake", 0.01, minuteMs)) faults.handshake = () => status;
    else delete faults.handshake;
    const [code, reason] = ends[random.below(ends.length)] ?? [1006, ""];
    if (random.chance(0.02)) for (const tail of fake.tails) tail.close(code, reason);
  }

  /** One push, or a few. */
  push(fake: FakeLoki): void {
    const random = this.#pushes;
    const nowMs = fake.clock.now() + fake.faults.skewMs;
    const send = (streams: readonly PushedStream[]): void => {
      fake.push(streams);
      for (const { values } of streams) for (const [ns, line] of values) this.#note(ns, line, nowMs, fake.clock.now());
    };
    send(this.#ordinary(nowMs));
    if (random.chance(0.01)) send(this.#crowd(nowMs, 10, Math.ceil(fake.limits.entries / 6)));
    if (random.chance(0.003) && this.#declares) send(this.#crowd(nowMs, 1, fake.limits.entries + 20));
    if (random.chance(0.003) && this.#declares) send([this.#stream(random.below(10), [this.#line(nowMs - (6 + random.below(3)) * minuteMs)])]);
    if (random.chance(0.003)) send([this.#stream(random.below(10), [this.#line(nowMs + random.below(3 * minuteMs))])]);
  }

  #note(ns: string, line: string, nowMs: number, atMs: number): void {
    if (line === "the same") return; // not told from another of that time
    if (Math.abs(Number(BigInt(ns) / 1_000_000n) - nowMs) < 1000) this.onTime.set(`${timeOf(BigInt(ns))} ${line}`, atMs);
  }

  /** Late by up to four minutes now and then, often at one time with others. */
  #ordinary(nowMs: number): PushedStream[] {
    const random = this.#pushes;
    return Array.from({ length: 1 + random.below(10) }, (_, pod) =>
      this.#stream(
        pod,
        Array.from({ length: 1 + random.below(6) }, () =>
          this.#line(nowMs + (random.chance(0.05) ? -random.below((latenessMinutes - 1) * minuteMs) : -random.below(50))),
        ),
      ),
    );
  }

  /** Many of one nanosecond. */
  #crowd(nowMs: number, pods: number, each: number): PushedStream[] {
    const ns = `${Math.floor(nowMs)}000000`;
    return Array.from({ length: pods }, (_, pod) =>
      this.#stream(
        pod,
        Array.from({ length: each }, () => [ns, `line ${this.#number++}`, {}] as const),
      ),
    );
  }

  #stream(pod: number, values: PushedStream["values"]): PushedStream {
    return { stream: { app: "web", pod: String(pod) }, values };
  }

  #line(ms: number): PushedStream["values"][number] {
    const random = this.#pushes;
    const ns = BigInt(Math.floor(ms)) * 1_000_000n + (random.chance(0.5) ? BigInt(random.below(1_000_000)) : 0n);
    const line = random.chance(0.1) ? "the same" : `line ${this.#number++}\nof two`;
    return [String(ns), line, random.chance(0.3) ? { trace: String(random.below(3)) } : {}];
  }
}

/** Faults off, so that what is still to be found can be. */
export function heal(fake: FakeLoki, rig: Rig): void {
  Object.assign(fake.faults, { silent: 0, reported: 0, broken: 0, cut: 0, busy: false, mute: false });
  delete fake.faults.handshake;
  rig.network.slow = 0;
  rig.held = false;
  rig.refuse = undefined;
}
