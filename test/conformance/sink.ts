/**
 * What every sink owes, by name. A kind runs it against its real far side:
 *
 *     sinkConformance("directory", async () => harness);
 *
 * The delivery loop builds on these and on nothing else of a sink.
 */
import { describe, expect, test } from "bun:test";
import type { Batch, Sink } from "../../src/core/contract.ts";
import { Fault } from "../../src/core/fault.ts";
import { testBatch, testSignals, type TestBatch } from "../support/batch.ts";

/** One far side, empty at the start, and sinks to it. */
export interface SinkHarness extends AsyncDisposable {
  /** A sink as after a start of the process; each is disposed of by the test. */
  open(): Promise<Sink>;
  /** The bodies the far side has for this batch: one element for each effect it had. */
  arrived(batch: Batch): Promise<Uint8Array[]>;
  /** Lets the far side have something else where this batch goes. Left out: the far side cannot tell. */
  occupy?(batch: Batch): Promise<void>;
  /** Records of this kind, where the far side takes no others; a line each. */
  readonly pieces?: readonly Uint8Array[];
  /** False where the body of one request is held as a whole (it is bounded by `batch.bytes_max` then). Default true. */
  readonly streams?: boolean;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const join = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString("hex");
const anyPieces = [bytesOf('{"message":"one"}\n'), bytesOf('{"message":"two"}\n'), bytesOf('{"message":"three"}\n')];
const plain = (given: readonly Uint8Array[], more: Partial<Batch> = {}): TestBatch =>
  testBatch(given, { codec: "none", name: "edge-1-0123456789abcdef-0badcafe-00000000000000000000-00000000000000000011.ndjson", ...more });

/** A kill has to be obeyed within this, however busy the machine. */
const promptMs = 5000;

export function sinkConformance(kind: string, make: () => Promise<SinkHarness>): void {
  describe(`conformance of sink ${kind}`, () => {
    effects(make);
    interruptions(make);
    streaming(make);
    holdings(make);
  });
}

/** What a put does, once, twice, and where something else is. */
function effects(make: () => Promise<SinkHarness>): void {
  test("a batch arrives byte for byte", async () => {
    await using far = await make();
    await using sink = await far.open();
    const { pieces = anyPieces } = far;
    const batch = plain(pieces);
    expect(await sink.put(batch, testSignals().signals)).toMatchObject({ outcome: "delivered" });
    expect((await far.arrived(batch)).map((body) => join([body]))).toEqual([join(pieces)]);
  });

  test("a batch that is put twice has one effect, also after a restart", async () => {
    await using far = await make();
    const { pieces = anyPieces } = far;
    const batch = plain(pieces);
    for (let start = 0; start < 2; start++) {
      await using sink = await far.open();
      for (let time = 0; time < 2; time++) expect(await sink.put(batch, testSignals().signals)).toMatchObject({ outcome: "delivered" });
    }
    expect((await far.arrived(batch)).map((body) => join([body]))).toEqual([join(pieces)]);
  });

  test("something else under its name is told as forked and stays as it is", async () => {
    await using far = await make();
    if (far.occupy === undefined) return;
    await using sink = await far.open();
    const { pieces = anyPieces } = far;
    const batch = plain(pieces);
    await far.occupy(batch);
    const before = (await far.arrived(batch)).map((body) => join([body]));
    expect(await sink.put(batch, testSignals().signals)).toEqual({ outcome: "forked" });
    expect((await far.arrived(batch)).map((body) => join([body]))).toEqual(before);
  });
}

/** What is left of a put that does not come to its end. */
function interruptions(make: () => Promise<SinkHarness>): void {
  test("a body that fails on the way leaves nothing, and the next try works", async () => {
    await using far = await make();
    await using sink = await far.open();
    const { pieces = anyPieces } = far;
    const batch = plain(pieces);
    const failing: Batch = {
      ...batch,
      async *body() {
        yield pieces[0]!;
        await Promise.resolve();
        throw new Fault({ code: "sink_read_failed", retry: "later", message: "read batch" });
      },
    };
    const cause: unknown = await sink.put(failing, testSignals().signals).then(
      () => "delivered",
      (thrown: unknown) => thrown,
    );
    expect(cause).toBeInstanceOf(Fault);
    expect(await far.arrived(batch)).toEqual([]);
    expect(await sink.put(batch, testSignals().signals)).toMatchObject({ outcome: "delivered" });
    expect((await far.arrived(batch)).map((body) => join([body]))).toEqual([join(pieces)]);
  });

  test("kill cuts a put at once, also while its body does not come, and nothing of it counts", async () => {
    await using far = await make();
    await using sink = await far.open();
    const { signals, kill } = testSignals();
    const { pieces = anyPieces } = far;
    const batch = plain(pieces);
    const begun = Promise.withResolvers<void>();
    const hanging: Batch = {
      ...batch,
      async *body() {
        yield pieces[0]!;
        begun.resolve();
        await new Promise(() => {});
      },
    };
    const put = sink.put(hanging, signals).then(
      () => "delivered",
      () => "cut",
    );
    await begun.promise;
    kill.abort();
    expect(await Promise.race([put, Bun.sleep(promptMs).then(() => "still there")])).toBe("cut");
    expect(await far.arrived(batch)).toEqual([]);
  });
}

function streaming(make: () => Promise<SinkHarness>): void {
  test("a large body is streamed: most of it is never in memory at once", async () => {
    await using far = await make();
    if (far.streams === false) return;
    await using sink = await far.open();
    const count = 64;
    // Equal parts are made anew each time, so that what holds one holds memory.
    const part = (): Uint8Array => new Uint8Array(2 ** 20).fill(0x20);
    const alive: WeakRef<Uint8Array>[] = [];
    let most = 0;
    const large: Batch = {
      ...plain(Array.from({ length: count }, part)),
      async *body() {
        for (let made = 0; made < count; made++) {
          if (made % 8 === 7) {
            await new Promise((resolve) => setImmediate(resolve));
            Bun.gc(true);
            most = Math.max(most, alive.filter((weak) => weak.deref() !== undefined).length);
            await new Promise((resolve) => setImmediate(resolve));
          }
          const next = part();
          alive.push(new WeakRef(next));
          yield next;
        }
      },
    };
    expect(await sink.put(large, testSignals().signals)).toMatchObject({ outcome: "delivered" });
    expect(most).toBeLessThan(count / 2);
  }, 60_000);
}

/** What the far side says it holds. */
function holdings(make: () => Promise<SinkHarness>): void {
  test("what was put is listed by lane, name and size, with its digest where it is known, and read back byte for byte", async () => {
    await using far = await make();
    await using sink = await far.open();
    if (sink.holdings === undefined) return;
    const { signals } = testSignals();
    const { pieces = anyPieces } = far;
    const large = [new Uint8Array(9 * 2 ** 20).fill(7), ...pieces];
    const batches = [plain(pieces), plain(large, { lane: "date=2026-11-23/hour=02" }), plain(pieces, { name: "someone-else.ndjson" })];
    for (const batch of batches) await sink.put(batch, signals);
    const found = await Array.fromAsync(sink.holdings.list((name) => name.startsWith("edge-1-"), signals.kill));
    const byLane = found.toSorted((a, b) => a.lane.localeCompare(b.lane));
    expect(byLane).toEqual(batches.slice(0, 2).map(({ lane, name, bytes }) => ({ lane, name, bytes })));
    for (const [index, held] of byLane.entries()) {
      const parts: Uint8Array[] = [];
      for await (const part of sink.holdings.read(held, signals.kill)) parts.push(new Uint8Array(part));
      expect(join(parts)).toBe(join(index === 0 ? pieces : large));
      const { digest, records = 12 } = (await sink.holdings.describe(held, signals.kill)) ?? {};
      expect({ digest, records }).toEqual({ digest: batches[index]?.digest, records: 12 });
    }
    expect(await sink.holdings.describe({ lane: "date=2026-11-24", name: "edge-1-none", bytes: 1 }, signals.kill)).toBeUndefined();
  }, 60_000);
}
