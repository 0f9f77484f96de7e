/**
 * What every source guarantees, whatever it reads from. Each guarantee is a test with its name; a kind joins with a `World`.
 *
 *     conformSource("file", { resumes: true, ends: true }, openFileWorld);
 */
import { describe, expect, test } from "bun:test";
import type { SourceKind } from "../../src/core/contract.ts";
import type { Doors } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/fault.ts";
import { readBytes } from "../../src/core/limits.ts";
import { until } from "../support/until.ts";
import { MemorySpool } from "./memory.ts";
import { bufferCount, startSource } from "./running.ts";

/** The other side of a source: where lines come from. */
export interface World extends AsyncDisposable {
  readonly kind: SourceKind;
  readonly config: unknown;
  readonly doors?: Doors;
  /** Puts lines (without line ends) where the source reads them, in order, at once or in the background. */
  feed(lines: readonly string[]): void;
  /** No line comes after the ones fed so far. */
  close(): void;
  /** A folder for the source's own state, where it needs one. */
  readonly directory?: string;
  /** The line as fed, of the one that was emitted, where these differ. */
  textOf?(emitted: string): string;
}

/** Numbered lines of some length, `bytes` in total, from number `from` on. */
export function numbered(from: number, count: number, bytesEach = 40): string[] {
  return Array.from({ length: count }, (_, index) => `n=${from + index} `.padEnd(bytesEach, "abcdefghij"));
}

/** Rest of a source's memory in flight beyond the pool: copies of small reads, and one line longer than a read. */
const besidePoolBytes = 8 * 2 ** 20;

/** What a kind can promise by its nature. */
export interface Nature {
  /** Goes on after a kill where it was: what was not durable is read again. */
  readonly resumes: boolean;
  /** With `once` the source returns by itself; it does not when it serves. */
  readonly ends: boolean;
  /** Records come as they were fed, unless this is false: then all of them, in any order. */
  readonly ordered?: boolean;
}

/** What has arrived, beside what was fed. */
function arrived(spool: MemorySpool, world: World, nature: Nature): string[] {
  const texts = world.textOf === undefined ? spool.texts : spool.texts.map((text) => world.textOf?.(text) ?? text);
  if (nature.ordered !== false) return texts;
  const number = (text: string): number => Number(/^n=(\d+)/.exec(text)?.[1]);
  return texts.toSorted((a, b) => number(a) - number(b));
}

export function conformSource(name: string, nature: Nature, open: () => Promise<World>): void {
  describe(`${name} source`, () => {
    conformDelivery(nature, open);
    conformEnding(open);
    if (nature.resumes) conformResuming(nature, open);
    if (nature.ends) conformOnce(nature, open);
  });
}

function conformDelivery(nature: Nature, open: () => Promise<World>): void {
  test("every record arrives once and in order, also while more come", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    await using running = await startSource(world.kind, world.config, spool, world);
    const lines = numbered(0, 20_000);
    for (let at = 0; at < lines.length; at += 1000) {
      world.feed(lines.slice(at, at + 1000));
      await until(() => spool.lines.length > at, "some of it has arrived");
    }
    await until(() => spool.lines.length >= lines.length, "all has arrived");
    await running.stop();
    expect(arrived(spool, world, nature)).toEqual(lines);
    expect(spool.broken).toEqual([]);
  });

  test("while nothing becomes durable, what is in flight is bounded, and all arrives afterwards", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    spool.hold();
    await using running = await startSource(world.kind, world.config, spool, world);
    const lines = numbered(0, 20_000, 1500);
    world.feed(lines);
    await until(() => spool.bytesInFlight > 2 ** 20, "it reads");
    await Bun.sleep(300); // time to go wrong in: a bound is only seen by what does not happen
    expect(spool.bytesInFlight).toBeLessThanOrEqual(readBytes * bufferCount + besidePoolBytes);
    expect(spool.lines.length).toBe(0);
    spool.release();
    await until(() => spool.lines.length >= lines.length, "all has arrived");
    await running.stop();
    expect(arrived(spool, world, nature)).toEqual(lines);
    expect(spool.bytesInFlightMax).toBeLessThanOrEqual(readBytes * bufferCount + besidePoolBytes);
  });
}

function conformResuming(nature: Nature, open: () => Promise<World>): void {
  test("a position moves only with its data: killed and reopened again and again, every record is there once", async () => {
    await using world = await open();
    let spool = new MemorySpool();
    const lines = numbered(0, 30_000);
    for (let at = 0; at < lines.length; at += 3000) {
      const running = await startSource(world.kind, world.config, spool, world);
      world.feed(lines.slice(at, at + 1500));
      await until(() => spool.lines.length > at, "some of it has arrived");
      spool.hold();
      world.feed(lines.slice(at + 1500, at + 3000));
      await until(() => spool.bytesInFlight > 0, "more is in flight");
      await running.kill();
      spool = new MemorySpool(spool);
    }
    await using last = await startSource(world.kind, world.config, spool, world);
    await until(() => spool.lines.length >= lines.length, "all has arrived");
    await last.stop();
    expect(arrived(spool, world, nature)).toEqual(lines);
  });

  test("a rejected emit is read again, nothing is left out", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    await using running = await startSource(world.kind, world.config, spool, world);
    const lines = numbered(0, 3000);
    world.feed(lines.slice(0, 1000));
    await until(() => spool.lines.length >= 1000, "the first have arrived");
    spool.hold();
    world.feed(lines.slice(1000));
    await until(() => spool.bytesInFlight > 0, "more is in flight");
    spool.reject(new Fault({ code: "test_refused", retry: "later", message: "not now" }));
    spool.release();
    await until(() => spool.lines.length >= lines.length, "all has arrived");
    await running.stop();
    expect(arrived(spool, world, nature)).toEqual(lines);
    expect(running.board.counts()["test_refused"]).toBeGreaterThan(0);
  });

  test("run returns once the spool is closed under it", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    await using running = await startSource(world.kind, world.config, spool, world);
    world.feed(numbered(0, 10));
    await until(() => spool.lines.length > 0, "it reads");
    spool.close();
    world.feed(numbered(10, 10));
    await running.done;
  });
}

function conformEnding(open: () => Promise<World>): void {
  test("stop waits for what was emitted, and nothing is emitted afterwards", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    spool.hold();
    await using running = await startSource(world.kind, world.config, spool, world);
    world.feed(numbered(0, 1000));
    await until(() => spool.bytesInFlight > 0, "it reads");
    let returned = false;
    const stopped = running.stop().then(() => (returned = true));
    await Bun.sleep(50);
    expect(returned).toBe(false);
    spool.release();
    await stopped;
    expect(spool.bytesInFlight).toBe(0);
    const { emits } = spool;
    world.feed(numbered(1000, 10));
    await Bun.sleep(300);
    expect(spool.emits).toBe(emits);
  });

  test("kill does not wait for anything", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    spool.hold();
    const running = await startSource(world.kind, world.config, spool, world);
    world.feed(numbered(0, 1000));
    await until(() => spool.bytesInFlight > 0, "it reads");
    await running.kill();
  });

  test("every buffer of the pool is given back", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    await using running = await startSource(world.kind, world.config, spool, world);
    world.feed(numbered(0, 20_000, 200));
    await until(() => spool.lines.length >= 20_000, "all has arrived");
    await running.stop();
    for (let left = bufferCount; left > 0; left--) expect(running.buffers.takeFree()).toBeDefined();
    expect(running.buffers.takeFree()).toBeUndefined();
  });
}

function conformOnce(nature: Nature, open: () => Promise<World>): void {
  test("with once it takes what is there and returns by itself", async () => {
    await using world = await open();
    const spool = new MemorySpool();
    const lines = numbered(0, 5000);
    world.feed(lines);
    world.close();
    await using running = await startSource(world.kind, world.config, spool, { ...world, once: true });
    await running.done;
    expect(arrived(spool, world, nature)).toEqual(lines);
    expect(running.source.status().state).toBe("done");
  });
}
