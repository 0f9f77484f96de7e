/** Where a mixed frame's records go: by what the frame says it holds the same as record by record, and then without reading it. */
import { expect, test } from "bun:test";
import { Seeded } from "../../test/sim/random.ts";
import { testDelivery } from "../../test/support/sink.ts";
import { MemorySpool } from "../../test/support/spool.ts";
import { systemCompress } from "../core/compress.ts";
import { ContentsWriter } from "../core/contents.ts";
import type { Delivery, FrameRef, Range, Stream } from "../core/contract.ts";
import { Assigner } from "./assign.ts";

/** A mixed frame of records of some streams, stream by stream, as the spool writes it; and the same without its contents. */
function mixed(seed: number, streams: readonly Stream[], source = "s"): { spool: MemorySpool; bare: FrameRef; full: FrameRef } {
  const random = new Seeded(seed);
  const spool = new MemorySpool();
  const contents = new ContentsWriter();
  const records = streams.flatMap((stream) => {
    const own = Array.from({ length: 1 + random.below(4) }, (_, offset) => ({
      timestamp: "2026-11-23T01:30:20Z",
      host: "h",
      source,
      ...(random.chance(0.5) ? { offset } : {}),
      labels: { ...stream.labels, more: String(random.below(3)) },
      message: "m".repeat(random.below(50)),
    }));
    contents.add(
      stream,
      own.length,
      own.reduce((sum, record) => sum + JSON.stringify(record).length + 1, 0),
    );
    return own;
  });
  const from = streams[0]?.from;
  const bare = spool.add(records, { mixed: true, stream: from === undefined ? {} : { from } });
  return { spool, bare, full: { ...bare, contents: contents.bytes() } };
}

const assigner = (spool: MemorySpool, template: string, more: Partial<Delivery> = {}) =>
  new Assigner({ ...testDelivery, partition: { template, zone: "UTC" }, ...more }, spool, systemCompress);
const all = ({ firstSequence, records }: FrameRef): Range[] => [[firstSequence, firstSequence + records - 1]];
const apps = (count: number, more: Stream = {}): Stream[] =>
  Array.from({ length: count }, (_, n) => ({ ...more, labels: { app: `a${n % 7}`, env: `e${n}` } }));

test("the shares are those found record by record, and the frame is not read for them", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { spool, bare, full } = mixed(seed, apps(seed));
    for (const template of ["app={labels.app}", "e={labels.env}/a={labels.app}/hour=%H"]) {
      const assign = assigner(spool, template);
      const byRecord = await assign.shares(bare, all(bare));
      const reads = spool.reads;
      expect(await assign.shares(full, all(full))).toEqual(byRecord);
      expect(spool.reads).toBe(reads);
    }
  }
});

test("a template that asks for what the frame does not say has the records looked at", async () => {
  const { spool, bare, full } = mixed(1, apps(9));
  for (const template of ["more={labels.more}", "source={source}/app={labels.app}", "none={labels.none}"]) {
    const assign = assigner(spool, template);
    const reads = spool.reads;
    expect(await assign.shares(full, all(full))).toEqual(await assign.shares(bare, all(bare)));
    expect(spool.reads).toBe(reads + 2);
  }
});

test("so does a part of a frame, and contents that do not add up", async () => {
  const { spool, bare, full } = mixed(2, apps(9));
  const assign = assigner(spool, "app={labels.app}");
  const part: Range[] = [[1, bare.records - 2]];
  expect(await assign.shares(full, part)).toEqual(await assign.shares(bare, part));
  const cut = { ...full, contents: full.contents?.subarray(0, -1) ?? new Uint8Array(0) };
  expect(await assign.shares(cut, all(bare))).toEqual(await assign.shares(bare, all(bare)));
});

test("a sink that asks for sources takes a mixed frame of its own and leaves others", async () => {
  const { spool, bare, full } = mixed(3, apps(9, { from: "in" }));
  const wanted = assigner(spool, "app={labels.app}", { from: ["in"] });
  expect(await wanted.shares(full, all(full))).toEqual(await wanted.shares(bare, all(bare)));
  expect(await assigner(spool, "app={labels.app}", { from: ["other"] }).shares(full, all(full))).toEqual([]);
});

test("from what one record says another's values do not follow, whichever comes after which", async () => {
  const { spool, bare } = mixed(4, [...apps(3), ...apps(5).toReversed(), ...apps(2)]);
  const shares = await assigner(spool, "e={labels.env}").shares(bare, all(bare));
  expect(shares.reduce((sum, share) => sum + share.records, 0)).toBe(bare.records);
  expect(shares.reduce((sum, share) => sum + share.rawBytes, 0)).toBe(bare.rawBytes);
  expect(shares.map((share) => share.partition).sort()).toEqual(["e=e0", "e=e1", "e=e2", "e=e3", "e=e4"]);
});
