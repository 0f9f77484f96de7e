/**
 * Exchanges recorded from a real Loki, played once more: the fake answers as the real one did, frame by frame, and the source
 * makes of them every line that the server stored, once.
 */
import { describe, expect, test } from "bun:test";
import { SimulatedClock } from "../support/loki/clock.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { FakeTail } from "../support/loki/tail.ts";
import { baseOf, bodyOf, essence, type Http, lowered, names, type Step, stepsOf } from "./recorded.ts";
import { committed, identities, Rig } from "./rig.ts";

/** What was sent to one WebSocket: lines in their order, closes by code and reason; pings are told apart by their number only. */
interface Heard {
  readonly frames: string[];
  end: string;
}

class Replay {
  readonly clock: SimulatedClock;
  readonly fake: FakeLoki;
  readonly heard = new Map<string, Heard>();
  readonly answers: { path: string; got: unknown; recorded: unknown }[] = [];
  readonly #tails = new Map<string, FakeTail>();
  readonly #steps: readonly Step[];
  readonly #base: number;

  constructor(name: string) {
    this.#steps = stepsOf(name);
    this.#base = baseOf(this.#steps);
    this.clock = new SimulatedClock(this.#base);
    this.fake = new FakeLoki(this.clock);
    this.fake.limits.tails = 3;
    this.fake.limits.tailMs = 20_000;
    // When a frame is sent hangs on half a millisecond: it is part of the script.
    this.fake.limits.tickMs = 3_600_000;
    // Which of twenty streams found no room was chance: it is part of the script.
    if (name === "tail-burst") this.fake.faults.drops = ({ n = "" }) => Number(n) >= 9 && Number(n) <= 14;
  }

  async run(): Promise<void> {
    for (const { at_ms, http, open, frame, signal } of this.#steps) {
      await this.clock.pass(Math.max(0, this.#base + at_ms - this.clock.now()));
      if (http !== undefined) this.#http(http);
      if (open !== undefined) this.#open(open);
      const shown = this.#tails.get(frame?.ws ?? "");
      if (frame?.op === "text" || frame?.op === "close") shown?.flush();
      if (frame?.op === "close" && frame.code === 1000) shown?.leave();
      if (signal !== undefined) for (const tail of this.fake.tails) tail.close(1011, "all ingesters closed the connection");
    }
    await this.clock.pass(1000);
  }

  #http({ method, path, headers, body, status, answer }: Http): void {
    const sent = bodyOf(body);
    if (sent === undefined) return;
    const url = new URL(path, "http://loki");
    if (url.pathname.endsWith("/buildinfo")) return;
    const got = this.fake.answer(method, url, lowered(headers), sent);
    const statusOnly = url.pathname.endsWith("/labels");
    this.answers.push({
      path,
      got: [got.status, statusOnly ? "" : essence(got.text)],
      recorded: [status, statusOnly ? "" : essence(answer)],
    });
  }

  #open({ ws, path, headers, status, answer }: NonNullable<Step["open"]>): void {
    const heard: Heard = { frames: [], end: "" };
    this.heard.set(ws, heard);
    const opened = this.fake.tail(new URL(path, "http://loki"), lowered(headers), {
      frame: (text) => heard.frames.push(text),
      ping: () => {},
      close: (code, reason) => (heard.end = `${code} ${reason}`),
    });
    if (opened instanceof FakeTail) this.#tails.set(ws, opened);
    this.answers.push({ path, got: opened instanceof FakeTail ? [101, ""] : [opened.status, opened.text], recorded: [status, answer] });
  }
}

/** How long a query was depends on the microsecond. */
function timeless(words: string): string {
  return words.replace(/query length: [^,]+/, "query length");
}

/** Lines of frames in their order: how many make a frame hangs on the tick in which they came. */
function linesOf(frames: readonly string[]): unknown[] {
  return frames.flatMap((text) => (JSON.parse(text) as { streams: unknown[] }).streams.map((stream) => JSON.stringify(stream)));
}

describe("the fake does what a real Loki did", () => {
  for (const name of names.filter((one) => one !== "tail-slow")) {
    test(name, async () => {
      const replay = new Replay(name);
      await replay.run();
      for (const { path, got, recorded } of replay.answers) expect({ path, answer: got }).toEqual({ path, answer: recorded });
      for (const [ws, { frames, end }] of replay.heard) {
        const recorded = stepsOf(name).flatMap(({ frame }) => (frame?.ws === ws ? [frame] : []));
        const texts = recorded.flatMap(({ op, text = "" }) => (op === "text" ? [text] : []));
        expect({ ws, lines: linesOf(frames) }).toEqual({ ws, lines: linesOf(texts) });
        if (texts.length > 0)
          expect(Object.keys(JSON.parse(frames[0] ?? "{}") as object)).toEqual(Object.keys(JSON.parse(texts[0] ?? "{}") as object));
        const close = recorded.find(({ op, code }) => op === "close" && code !== 1000);
        const ended = recorded.some(({ code }) => code === 1000) ? "" : end;
        const wanted = close === undefined ? "" : `${close.code} ${close.reason}`;
        expect({ ws, end: timeless(ended) }).toEqual({ ws, end: timeless(wanted) });
      }
      if (name === "tail-burst") expect(linesOf(replay.heard.get("tail")?.frames ?? []).length).toBe(140);
    });
  }
});

describe("the source has what the server stored, once", () => {
  for (const name of names) {
    test(name, async () => {
      const steps = stepsOf(name);
      const base = baseOf(steps);
      const clock = new SimulatedClock(base);
      const fake = new FakeLoki(clock);
      fake.limits.tailMs = 20_000;
      if (name === "tail-burst") fake.faults.drops = ({ n = "" }) => Number(n) >= 9 && Number(n) <= 14;
      const rig = new Rig(fake, clock);
      const life = await rig.begin({ query: '{job=~".+"}', start: "3h" });
      for (const { at_ms, http, frame } of steps) {
        await clock.pass(Math.max(0, base + at_ms - clock.now()));
        const sent = bodyOf(http?.body);
        if (http?.path.endsWith("/push") === true && sent !== undefined)
          fake.answer("POST", new URL(http.path, "http://loki"), lowered(http.headers), sent);
        // As it came from the real server, cut lines, dropped_entries and all: the fake knows these lines from here only.
        if (frame?.op === "text" && name === "tail-slow") replayFrame(fake, frame.text ?? "");
      }
      await clock.pass(15 * 60_000);
      life.stop();
      await clock.pass(1000);
      await life.done;
      expect(committed(rig)).toEqual(
        identities(fake)
          .map((one) => one.replace(/\["__stream_shard__","\d+"\],?/, ""))
          .toSorted(),
      );
    });
  }
});

/** A frame of the recording: its lines are stored, the tails show it as it is. */
function replayFrame(fake: FakeLoki, text: string): void {
  const { streams = [] } = whole(text);
  for (const { stream, values } of streams) for (const [time, line] of values) fake.store.place(stream, { ns: BigInt(time), line, metadata: {} });
  for (const tail of fake.tails) tail.raw(text);
}

interface Frame {
  readonly streams?: { readonly stream: Record<string, string>; readonly values: [string, string][] }[];
}

/** Long frames are cut in the recording: those are no JSON, and the source must live with that too. */
function whole(text: string): Frame {
  try {
    return JSON.parse(text) as Frame;
  } catch {
    return {};
  }
}
