/** Bodies against the records they are of: the same bytes every time, nothing of the spool's headers, and no body but the planned one. */
import { describe, expect, test } from "bun:test";
import { gunzipSync } from "node:zlib";
import { MemorySpool } from "../../test/support/spool.ts";
import type { Codec, Range } from "../core/contract.ts";
import { systemCompress } from "../core/compress.ts";
import { batchOf } from "./batch.ts";
import type { Journal } from "./journal.ts";
import type { Plan } from "./ledger.ts";
import { BodyChanged, checkedBody, encodeBody, measureBody, RecordsGone, type Encoder } from "./encode.ts";

const record = (n: number, size = 0): object => ({ n, message: "x".repeat(size) });
const records = (first: number, count: number, size = 0): object[] => Array.from({ length: count }, (_, at) => record(first + at, size));
const numbers = (text: Uint8Array): number[] =>
  Buffer.from(text)
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { n: number }).n);

async function bodyOf(spool: MemorySpool, ranges: readonly Range[], codec: Codec, encoder: Encoder): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const part of encodeBody({ ranges, codec, encoder }, spool, systemCompress)) parts.push(part);
  return parts;
}

test("whole frames are copied as they lie", async () => {
  const spool = new MemorySpool();
  const frames = [spool.add(records(0, 5)), spool.add(records(5, 5)), spool.add(records(10, 5))];
  const parts = await bodyOf(
    spool,
    [
      [0, 4],
      [10, 14],
    ],
    "zstd",
    "copy/1",
  );
  expect(parts).toEqual([await spool.payload(frames[0]!), await spool.payload(frames[2]!)]);
});

describe("recoded", () => {
  const spool = new MemorySpool(100);
  for (let frame = 0; frame < 200; frame++) spool.add(records(100 + frame * 10, 10));
  const ranges: Range[] = [
    [100, 100],
    [103, 105],
    [119, 120],
    [2095, 2099],
  ];
  const wanted = [100, 103, 104, 105, 119, 120, 2095, 2096, 2097, 2098, 2099];

  test.each([
    ["zstd", (bytes: Uint8Array) => Bun.zstdDecompressSync(bytes)],
    ["gzip", (bytes: Uint8Array) => gunzipSync(bytes)],
    ["none", (bytes: Uint8Array) => bytes],
  ] as const)("%s holds exactly the picked records, and is the same every time", async (codec, decode) => {
    const body = Buffer.concat(await bodyOf(spool, ranges, codec, "recode/1"));
    expect(numbers(decode(body))).toEqual(wanted);
    expect(Buffer.concat(await bodyOf(spool, ranges, codec, "recode/1"))).toEqual(body);
  });

  test("makes frames of up to 1 MiB, and never splits what one spool frame gives", async () => {
    const large = new MemorySpool();
    for (const count of [4, 4, 4, 25, 1]) large.add(records(large.nextSequence(), count, 100_000));
    const parts = await bodyOf(large, [[0, 37]], "zstd", "recode/1");
    const counts = (made: readonly Uint8Array[]) => made.map((part) => numbers(Bun.zstdDecompressSync(part as Uint8Array<ArrayBuffer>)).length);
    expect(counts(parts)).toEqual([8, 4, 25, 1]);
    // The other way, of up to 256 KiB.
    for (const count of [1, 1, 1, 3]) large.add(records(large.nextSequence(), count, 100_000));
    expect(counts(await bodyOf(large, [[38, 43]], "zstd", "recode/2"))).toEqual([2, 1, 3]);
  });
});

describe("records that are gone", () => {
  const goneOf = (spool: MemorySpool, ranges: readonly Range[], encoder: Encoder) =>
    bodyOf(spool, ranges, "zstd", encoder).then(
      () => "nothing",
      (cause: unknown) => (cause instanceof RecordsGone ? cause.ranges : cause),
    );

  test.each(["copy/1", "recode/1"] as const)("%s names them: damage, a lost run, a dropped beginning, a missing end", async (encoder) => {
    const spool = new MemorySpool();
    spool.add(records(0, 5));
    const damaged = spool.add(records(5, 5));
    spool.lose(5);
    spool.add(records(15, 5));
    spool.damage(damaged);
    expect(await goneOf(spool, [[0, 9]], encoder)).toEqual([[5, 9]]);
    expect(await goneOf(spool, [[10, 19]], encoder)).toEqual([[10, 14]]);
    expect(await goneOf(spool, [[15, 24]], encoder)).toEqual([[20, 24]]);
    spool.drop(15);
    expect(
      await goneOf(
        spool,
        [
          [2, 4],
          [15, 19],
        ],
        encoder,
      ),
    ).toEqual([[2, 4]]);
  });
});

test("a small body is kept as it was measured; of a longer one all memory is given back", async () => {
  async function* stream(): AsyncGenerator<Uint8Array> {
    yield* pieces;
  }
  const pieces = [0, 1, 2].map((n) => new Uint8Array(100_000).fill(n));
  const { parts, bytes, ...sums } = await measureBody(stream(), 300_000);
  expect(parts).toEqual(pieces);
  expect(bytes).toBe(300_000);
  expect(await measureBody(stream(), 299_999)).toEqual({ bytes, ...sums });
  expect(pieces.map(({ length }) => length)).toEqual([0, 0, 0]);
});

test("a kept body goes with its first use; the next one is read from the spool and is the same", async () => {
  const spool = new MemorySpool();
  spool.add(records(0, 5000, 50));
  const ranges: Range[] = [[0, 4999]];
  const sums = await measureBody(encodeBody({ ranges, codec: "zstd", encoder: "copy/1" }, spool, systemCompress), 2 ** 20);
  const place = { id: 1, lane: "0", number: 0, epoch: "e", name: "n", min_ms: 0 };
  const plan: Plan = { ...place, ranges, records: 5000, codec: "zstd", encoder: "copy/1", bytes: sums.bytes, digest: sums.digest, crc: sums.crc };
  const batch = batchOf(plan, spool, systemCompress, {} as Journal, sums.parts);
  const before = spool.reads;
  const take = async (): Promise<Buffer> => Buffer.concat((await Array.fromAsync(batch.body(), (part) => new Uint8Array(part))) as Uint8Array[]);
  const first = await take();
  expect(spool.reads).toBe(before);
  expect(await take()).toEqual(first);
  expect(spool.reads).toBe(before + 1);
});

describe("checked bodies", () => {
  const parts = [new Uint8Array([1, 2]), new Uint8Array([3]), new Uint8Array([4, 5])];
  async function* stream(given: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* given;
  }
  const given = async (body: readonly Uint8Array[], withCrc = true) => {
    const { crc, ...older } = await measureBody(stream(parts));
    const planned = withCrc ? { ...older, crc } : older;
    const seen: Uint8Array[] = [];
    try {
      for await (const part of checkedBody(stream(body), planned)) seen.push(part);
      return { seen, changed: false };
    } catch (cause) {
      return { seen, changed: cause instanceof BodyChanged };
    }
  };

  test("a plan without a CRC is held to its digest", async () => {
    expect(await given(parts, false)).toEqual({ seen: parts, changed: false });
    expect(await given([parts[0]!, parts[1]!, new Uint8Array([4, 6])], false)).toMatchObject({ changed: true });
  });

  test("the planned one passes whole", async () => {
    expect(await given(parts)).toEqual({ seen: parts, changed: false });
  });

  test.each([
    ["other content of equal length", [parts[0]!, parts[1]!, new Uint8Array([4, 6])]],
    ["shorter", parts.slice(0, 2)],
    ["longer", [...parts, new Uint8Array([6])]],
    ["empty", []],
  ])("%s never passes whole", async (_, body) => {
    const { seen, changed } = await given(body);
    expect(changed).toBe(true);
    expect(Buffer.concat(seen).length).toBeLessThan(5);
  });
});
