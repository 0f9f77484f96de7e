import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync, constants } from "node:zlib";
import { peakGrowth } from "../../test/support/peak.ts";
import { scratch } from "../../test/support/scratch.ts";
import { unpack, type Ending, type Packing } from "./unpack.ts";

const bombs = join(import.meta.dir, "..", "..", "test", "support", "bombs.ts");
const text = Buffer.from(Array.from({ length: 20_000 }, (_, n) => `line ${n} ${(n * 7919) % 1000}\n`).join(""));
const pack = {
  gzip: (bytes: Uint8Array) => gzipSync(bytes),
  zstd: (bytes: Uint8Array) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
};

async function unpacked(packing: Packing, bytes: Uint8Array, partBytes = 65_536): Promise<{ text: Buffer; ending: Ending; consumed: number }> {
  let at = 0;
  const part = new Uint8Array(partBytes);
  const stream = unpack(packing, () => {
    const got = bytes.subarray(at, at + partBytes);
    at += got.length;
    part.set(got);
    return Promise.resolve(got.length === 0 ? undefined : part.subarray(0, got.length));
  });
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = await stream.next();
    if (typeof piece === "string") {
      expect(await stream.next()).toBe(piece);
      stream.close();
      return { text: Buffer.concat(pieces), ending: piece, consumed: stream.consumed };
    }
    pieces.push(piece);
  }
}

describe.each(["gzip", "zstd"] as const)("%s", (packing) => {
  const whole = pack[packing](text);

  test("one member, several, byte by byte", async () => {
    expect(await unpacked(packing, whole)).toEqual({ text, ending: "whole", consumed: whole.length });
    const several = Buffer.concat([whole, pack[packing](Buffer.alloc(0)), whole, whole]);
    for (const partBytes of [65_536, 1000]) {
      const { text: got, ending } = await unpacked(packing, several, partBytes);
      expect({ ending, same: got.equals(Buffer.concat([text, text, text])) }).toEqual({ ending: "whole", same: true });
    }
    const small = pack[packing](Buffer.from("a\nb\n"));
    expect((await unpacked(packing, Buffer.concat([small, small]), 1)).text.toString()).toBe("a\nb\na\nb\n");
  });

  test("cut anywhere: what is there comes out, and it is said", async () => {
    const small = pack[packing](text.subarray(0, 600));
    for (let length = 4; length < small.length; length++) {
      const { text: got, ending } = await unpacked(packing, Buffer.concat([small, small.subarray(0, length)]));
      expect(ending).toBe("cut");
      expect(got.subarray(0, 600).equals(text.subarray(0, 600))).toBe(true);
    }
  });

  test("something else behind it: what stands before comes out when the parts are small", async () => {
    for (const behind of ["garbage behind", "\n"]) {
      const { text: got, ending } = await unpacked(packing, Buffer.concat([whole, Buffer.from(behind)]), 16);
      expect({ ending, same: got.equals(text) }).toEqual({ ending: packing === "gzip" && behind.length < 2 ? "cut" : "foreign", same: true });
    }
  });

  test("damage: what stands before comes out", async () => {
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(whole.length - 5) ^ 0xff, whole.length - 5); // the checksum, or behind it the last block
    const { ending } = await unpacked(packing, Buffer.concat([whole, damaged]), 16);
    expect(ending).toBe("damaged");
  });

  test("what the input rejects with is what next rejects with", async () => {
    let parts = 0;
    const stream = unpack(packing, () => (parts++ === 0 ? Promise.resolve(whole.subarray(0, 100)) : Promise.reject(new Error("EIO"))));
    const read = async (): Promise<void> => {
      while (typeof (await stream.next()) !== "string");
    };
    await expect(read()).rejects.toThrow("EIO");
  });

  test("no more is made than asked for: a bomb of 200 MB takes the memory of a few pieces", async () => {
    await using dir = await scratch();
    const path = dir.join("bomb");
    writeFileSync(path, pack[packing](Buffer.alloc(200_000_000, 65)));
    expect(await peakGrowth(bombs, "onePiece", path)).toBeLessThan(25_000_000);
  });
});

test("zstd: skippable frames are no content, and zeroes behind gzip are no damage", async () => {
  const skippable = Buffer.alloc(20);
  skippable.writeUInt32LE(0x184d2a5e, 0);
  skippable.writeUInt32LE(12, 4);
  const frame = pack.zstd(text);
  const { text: got, ending } = await unpacked("zstd", Buffer.concat([skippable, frame, skippable, frame, skippable]), 7);
  expect({ ending, bytes: got.length }).toEqual({ ending: "whole", bytes: 2 * text.length });
  expect((await unpacked("gzip", Buffer.concat([pack.gzip(text), Buffer.alloc(512)]))).ending).toBe("whole");
});
