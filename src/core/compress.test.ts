import { expect, test } from "bun:test";
import { createZstdCompress, gzipSync } from "node:zlib";
import { systemCompress } from "./compress.ts";

const text = Buffer.from("a line of a log, again and again\n".repeat(5000));
const frame = Bun.zstdCompressSync(text);
const skippable = Buffer.from([0x5e, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

/** A frame as a stream makes it: without its content's size. */
async function streamed(parts: Uint8Array[]): Promise<Buffer> {
  const stream = createZstdCompress();
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.on("end", resolve).on("error", reject);
  for (const part of parts) await new Promise<void>((done) => stream.write(part, () => stream.flush(done)));
  stream.end();
  await promise;
  return Buffer.concat(chunks);
}

const unzstd = (bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> => systemCompress.unzstd(bytes, bytesMax);
const code = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "taken",
    (cause: unknown) => (cause as { code?: string }).code ?? "refused",
  );

test("zstd with a bound: every frame, whether it says its size or not, up to exactly the bound", async () => {
  const stream = await streamed([text, text]);
  for (const bytes of [Buffer.concat([frame, frame]), Buffer.concat([skippable, frame, skippable, frame]), stream]) {
    expect(Buffer.compare(await unzstd(bytes, 2 * text.length), Buffer.concat([text, text]))).toBe(0);
    expect(await code(unzstd(bytes, 2 * text.length - 1))).toBe("ERR_BUFFER_TOO_LARGE");
  }
  expect(await unzstd(skippable, 10)).toEqual(new Uint8Array(0));
});

test("zstd with a bound: a torn end, bytes behind, and a frame that lies about its size are refused", async () => {
  const stream = await streamed([text]);
  for (const bytes of [frame, stream]) {
    for (let cut = 1; cut < Math.min(40, bytes.length); cut++)
      expect(await code(unzstd(bytes.subarray(0, bytes.length - cut), 1e9))).not.toBe("taken");
    expect(await code(unzstd(Buffer.concat([bytes, Buffer.from("garbage")]), 1e9))).not.toBe("taken");
    expect(await code(unzstd(Buffer.concat([bytes, bytes.subarray(0, 20)]), 1e9))).not.toBe("taken");
  }
  const bomb = Bun.zstdCompressSync(Buffer.alloc(300 * 1024 * 1024));
  const sizeAt = (bomb.readUInt8(4) & 0x20) === 0 ? 6 : 5;
  bomb.writeUInt32LE(1000, sizeAt);
  expect(await code(unzstd(bomb, 2000))).not.toBe("taken");
  // Beside a frame without a size the fast way would decode until the end before it sees the lie.
  expect(await code(unzstd(Buffer.concat([stream, bomb]), 1024 * 1024))).not.toBe("taken");
});

test("gzip with a bound: every member, up to exactly the bound, and no torn end", async () => {
  const two = Buffer.concat([gzipSync(text), gzipSync(text)]);
  expect((await systemCompress.gunzip(two, 2 * text.length)).length).toBe(2 * text.length);
  expect(await code(systemCompress.gunzip(two, 2 * text.length - 1))).toBe("ERR_BUFFER_TOO_LARGE");
  expect(await code(systemCompress.gunzip(two.subarray(0, two.length - 4), 1e9))).not.toBe("taken");
});

test("gzip in parts: every member, a torn end is refused, and what the parts end with comes through", async () => {
  const two = Buffer.concat([gzipSync(text), gzipSync(text)]);
  async function* cut(bytes: Uint8Array, end?: Error): AsyncGenerator<Uint8Array> {
    const part = new Uint8Array(1000);
    for (let at = 0; at < bytes.length; at += part.length) {
      part.set(bytes.subarray(at, at + part.length));
      yield part.subarray(0, Math.min(part.length, bytes.length - at));
    }
    if (end !== undefined) throw end;
  }
  const all = async (parts: AsyncIterable<Uint8Array>): Promise<Buffer> => Buffer.concat(await Array.fromAsync(systemCompress.gunzipParts!(parts)));
  expect(Buffer.compare(await all(cut(two)), Buffer.concat([text, text]))).toBe(0);
  expect(await code(all(cut(two.subarray(0, two.length - 4))))).not.toBe("taken");
  await expect(all(cut(two.subarray(0, 500), new Error("the far side went away")))).rejects.toThrow("the far side went away");
});
