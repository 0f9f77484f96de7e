import { describe, expect, test } from "bun:test";
import { memoryDisk } from "../../../test/loki/rig.ts";
import type { Json, PositionDelta } from "../../core/contract.ts";
import { Decoder, type Entry } from "./entry.ts";
import { Seen } from "./seen.ts";

const decoder = new Decoder("h", "s", {});

/** `count` entries from number `from` on, ten a second. */
function entries(from: number, count: number): Entry[] {
  const values = Array.from({ length: count }, (_, n) => [
    String(1_795_397_420_000_000_001n + BigInt(from + n) * 100_000_000n),
    `line ${from + n}`,
    {},
  ]);
  return decoder.entries([{ stream: { a: "1" }, values }]);
}

/** A source's positions and disk over its lives. */
class Host {
  readonly disk = memoryDisk();
  readonly positions = new Map<string, Json>();
  damaged = 0;

  open(): Promise<Seen> {
    return Seen.open({ disk: this.disk, directory: "/state", positions: this.positions, damaged: () => this.damaged++ });
  }

  commit(position: PositionDelta | undefined): void {
    for (const [key, value] of Object.entries(position ?? {})) {
      if (value === null) this.positions.delete(key);
      else this.positions.set(key, value);
    }
  }

  /** Adds and commits; returns how many were new. */
  async take(seen: Seen, given: readonly Entry[]): Promise<number> {
    return seen.ensure(given, () => {
      const fresh = given.filter((entry) => seen.add(entry));
      const { number, position } = seen.piece(fresh);
      this.commit(position);
      seen.settled(number);
      return fresh.length;
    });
  }
}

describe("what was emitted", () => {
  test("is known again, in the same life and in the next, loose or moved into a file", async () => {
    const host = new Host();
    const seen = await host.open();
    expect(await host.take(seen, entries(0, 500))).toBe(500);
    expect(await host.take(seen, entries(400, 200))).toBe(100);
    const next = await host.open();
    expect(await host.take(next, entries(0, 700))).toBe(100);
    host.commit(await next.move(true));
    expect([...host.positions.keys()]).toEqual(["f:0"]);
    expect(await host.take(await host.open(), entries(0, 800))).toBe(100);
    expect(host.damaged).toBe(0);
  });

  test("what was not committed is not known to the next life", async () => {
    const host = new Host();
    const seen = await host.open();
    await host.take(seen, entries(0, 10));
    await seen.ensure(entries(10, 10), () => entries(10, 10).forEach((entry) => seen.add(entry)));
    expect(await host.take(await host.open(), entries(0, 20))).toBe(10);
  });

  test("a file longer than its position says counts as far as that; one that is not what was written is told of", async () => {
    const host = new Host();
    const seen = await host.open();
    await host.take(seen, entries(0, 300));
    host.commit(await seen.move(true));
    await using file = await host.disk.open("/state/00000000.keys", "write");
    await file.write([Buffer.from("a block that was being written")], Number(host.positions.get("f:0")));
    expect(await host.take(await host.open(), entries(0, 300))).toBe(0);
    await file.write([Buffer.from("rot")], 20);
    await host.open();
    expect(host.damaged).toBe(1);
  });

  test("old buckets go, and files with them; a stranger's file is removed", async () => {
    const host = new Host();
    const seen = await host.open();
    await host.take(seen, entries(0, 300));
    host.commit(await seen.move(true));
    const { position } = seen.expire((entries(299, 1)[0]?.bucket ?? 0) + 1);
    host.commit(position);
    expect(seen.count(entries(0, 1)[0]?.bucket ?? 0)).toBe(0);
    await (await host.disk.open("/state/00000009.keys", "write")).write([Buffer.from("left")], 0);
    await host.open();
    expect(await host.disk.list("/state")).not.toContain("00000009.keys");
  });

  test("takes 8 bytes an entry on disk, with 12 a block", async () => {
    const host = new Host();
    const seen = await host.open();
    await host.take(seen, entries(0, 10_000));
    host.commit(await seen.move(true));
    expect(Number(host.positions.get("f:0"))).toBeLessThan(10_000 * 8 + 12 * 110);
  });
});
