/** Any bytes in: no throw but what is declared, no hang, no memory beyond the file. Properties over the readers of everything on disk. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { DiskFile } from "../core/disk.ts";
import { Fault } from "../core/fault.ts";
import { blockBytesMax, blockLength, decodeBlock, encodeBlock, FutureVersion, magic, type Block } from "./format.ts";
import { GroupCollector } from "./groups.ts";
import { parseCheckpoint, Positions } from "./positions.ts";
import { scan, type Item } from "./scan.ts";

const count = fc.maxSafeNat();
const small = fc.nat(0xffffffff);
/** As JSON has it: without -0. */
const json = fc
  .dictionary(fc.string(), fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })))
  .map((value) => JSON.parse(JSON.stringify(value)) as typeof value);
const ms = fc.nat(4_000_000_000_000);

const head = fc.record({
  kind: fc.constant("head" as const),
  spoolId: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  epoch: small.map((value) => value.toString(16).padStart(8, "0")),
  segment: count,
  previousSegment: count,
  previousBytes: count,
  firstSequence: count,
  firstGroup: count,
  rawBefore: count,
  minMs: ms,
  writer: fc.string({ maxLength: 60 }),
  previousSealBytes: small,
});
const frame = fc.record({
  kind: fc.constant("frame" as const),
  firstSequence: count,
  records: small,
  rawBytes: small,
  payloadBytes: fc.nat(300),
  minMs: ms,
  maxMs: ms,
  payloadCrc: small,
  mixed: fc.boolean(),
  stream: fc.dictionary(fc.constantFrom("from", "source", "host"), fc.string()),
});
const commit = fc.record({
  kind: fc.constant("commit" as const),
  group: count,
  groupBytes: count,
  nextSequence: count,
  framesCrc: small,
  delta: json,
  previousDelta: json,
});
const seal = fc.record({ kind: fc.constant("seal" as const), group: count, delta: json });
const block: fc.Arbitrary<Block> = fc.oneof(head, frame, commit, seal);

/** Bytes that have everything of a block but sense: magic, a length that fits, any kind and version, a right CRC. */
const pretended = fc
  .record({ kind: fc.nat(255), version: fc.nat(3), flags: fc.nat(0xffff), body: fc.uint8Array({ maxLength: 200 }) })
  .map(({ kind, version, flags, body }) => {
    const bytes = Buffer.alloc(12 + body.byteLength + 4);
    bytes.writeUInt32LE(magic, 0);
    bytes.writeUInt32LE(bytes.byteLength - 8, 4);
    bytes.writeUInt8(kind, 8);
    bytes.writeUInt8(version, 9);
    bytes.writeUInt16LE(flags, 10);
    bytes.set(body, 12);
    bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(0, -4)), bytes.byteLength - 4);
    return new Uint8Array(bytes);
  });

/** A file in memory that knows the most it was asked for at once, and how much in all. */
function fileOf(content: Uint8Array): { file: DiskFile; asked: { most: number; all: number } } {
  const asked = { most: 0, all: 0 };
  const file = {
    path: "memory",
    read: (into: Uint8Array, position: number): Promise<number> => {
      asked.most = Math.max(asked.most, into.byteLength);
      const part = content.subarray(position, position + into.byteLength);
      asked.all += part.byteLength;
      into.set(part);
      return Promise.resolve(part.byteLength);
    },
  };
  return { file: file as unknown as DiskFile, asked };
}

function decoded(bytes: Uint8Array): Block | "future" | undefined {
  try {
    return decodeBlock(bytes);
  } catch (cause) {
    if (cause instanceof FutureVersion) return "future";
    throw cause;
  }
}

test("a block comes back as it was written", () => {
  fc.assert(
    fc.property(block, (value) => {
      const bytes = encodeBlock(value);
      expect(blockLength(bytes, 0)).toBe(bytes.byteLength);
      expect(decodeBlock(bytes)).toEqual(value);
    }),
    { numRuns: 300 },
  );
});

test("decodeBlock: any bytes, also with a right checksum, give a block, nothing, or a later version", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), pretended), (bytes) => {
      const found = decoded(bytes);
      expect(found === undefined || found === "future" || ["head", "frame", "commit", "seal"].includes(found.kind)).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test("one changed byte in a block is always seen", () => {
  fc.assert(
    fc.property(block, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
      const bytes = encodeBlock(value);
      const place = at % bytes.byteLength;
      bytes[place] = (bytes[place] ?? 0) ^ change;
      expect(decoded(bytes)).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});

/** Blocks, noise, pretended and cut blocks in any order; a frame is followed by a payload of the length it claims, or not. */
const piece = fc.oneof(
  block.map((value) => Buffer.concat([encodeBlock(value), Buffer.alloc(value.kind === "frame" ? value.payloadBytes : 0, 7)])),
  block.map((value) => Buffer.from(encodeBlock(value))),
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  pretended.map((bytes) => Buffer.from(bytes)),
  fc.tuple(block, fc.nat(60)).map(([value, cut]) => Buffer.from(encodeBlock(value).subarray(0, cut))),
);

test("scan: any file is walked from end to end, without holes, in memory of the file's own size", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const content = Buffer.concat(pieces);
      const { file, asked } = fileOf(content);
      const collector = new GroupCollector();
      let at = 0;
      try {
        for await (const item of scan(file, 0, content.byteLength)) {
          expect(item.at).toBe(at);
          expect(item.length).toBeGreaterThan(0);
          at += item.length;
          collector.add(item);
        }
        expect(at).toBe(content.byteLength);
      } catch (cause) {
        if (!(cause instanceof FutureVersion)) throw cause;
      }
      for (const group of collector.finish(content.byteLength)) expect(group.end).toBeLessThanOrEqual(content.byteLength);
      expect(asked.most).toBeLessThanOrEqual(Math.max(64 * 1024, content.byteLength));
    }),
    { numRuns: 400 },
  );
});

test("scan: whole blocks between noise are found, each of them", async () => {
  const noise = fc.uint8Array({ maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(noise, fc.oneof(head, commit, seal)), { minLength: 1, maxLength: 8 }), async (pairs) => {
      const content = Buffer.concat(pairs.flatMap(([bytes, value]) => [bytes, encodeBlock(value)]));
      const found: Item[] = await Array.fromAsync(scan(fileOf(content).file, 0, content.byteLength));
      expect(found.flatMap(({ block: each }) => (each === undefined ? [] : [each]))).toEqual(pairs.map(([, value]) => value));
    }),
    { numRuns: 200 },
  );
});

test("scan: a file that is nothing but claims of long blocks takes no longer than its size", async () => {
  const content = Buffer.alloc(8 * 1024 * 1024);
  for (let at = 0; at + 12 <= content.byteLength; at += 12) {
    content.writeUInt32LE(magic, at);
    content.writeUInt32LE(Math.min(content.byteLength - at, blockBytesMax) - 8, at + 4);
    content.writeUInt8(3, at + 8);
    content.writeUInt8(1, at + 9);
  }
  const good = encodeBlock({ kind: "seal", group: 5, delta: {} });
  content.set(good, content.byteLength - good.byteLength);
  const { file, asked } = fileOf(content);
  const items = await Array.fromAsync(scan(file, 0, content.byteLength));
  expect(items.at(-1)?.block).toEqual({ kind: "seal", group: 5, delta: {} });
  // The file itself a few times over, and what a search may spend on wrong claims.
  expect(asked.all).toBeLessThan(512 * 1024 * 1024);
}, 60_000);

function checkpointOf(bytes: Buffer): ReturnType<typeof parseCheckpoint> | "future" {
  try {
    return parseCheckpoint(bytes, "positions.a");
  } catch (cause) {
    if (cause instanceof Fault && cause.code === "spool_future_format") return "future";
    throw cause;
  }
}

test("checkpoint: any bytes, and any JSON under a right checksum, give positions, nothing, or a later format", () => {
  const fields = fc.record(
    {
      format: fc.oneof(fc.integer({ min: -1, max: 3 }), fc.jsonValue()),
      writer: fc.oneof(fc.string(), fc.jsonValue()),
      group: fc.oneof(count, fc.jsonValue()),
      next_sequence: fc.oneof(count, fc.jsonValue()),
      raw_bytes: fc.oneof(count, fc.jsonValue()),
      dropped_to: fc.oneof(count, fc.jsonValue()),
      positions: fc.oneof(json, fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const checked = fc.oneof(fields, fc.jsonValue()).map((value) => {
    const text = JSON.stringify(value);
    return Buffer.from(`${Bun.hash.crc32(text).toString(16).padStart(8, "0")} ${text}\n`);
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        checked,
      ),
      (bytes) => {
        const found = checkpointOf(bytes);
        if (found === undefined || found === "future") return;
        expect(() => Positions.from(found.positions).toJson()).not.toThrow();
        for (const value of [found.group, found.next_sequence, found.raw_bytes, found.dropped_to ?? 0])
          expect(Number.isSafeInteger(value)).toBe(true);
      },
    ),
    { numRuns: 2000 },
  );
});
