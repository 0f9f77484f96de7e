/** What is done with a compressed file of nothing but one huge line, in the child that peak.ts measures. */
import { readFileSync } from "node:fs";
import { systemDoors } from "../../src/core/doors.ts";
import { unpack } from "../../src/core/unpack.ts";
import { packingOf, Unpacked } from "../../src/source/file/unpacked.ts";

/** Asks for one piece of the file at `path`, and waits for what else might be made. */
export async function onePiece(path: string): Promise<void> {
  const bomb = readFileSync(path);
  const stream = unpack(packingOf(bomb) ?? "gzip", () => Promise.resolve(bomb));
  const piece = await stream.next();
  if (typeof piece === "string") throw new Error(`it ended: ${piece}`);
  await Bun.sleep(200);
  stream.close();
}

/** Decompresses all of the file at `path`, which comes to `bytes`, as the source does, without a pause for the collector. */
export async function allOfIt(path: string, bytes: string): Promise<void> {
  const head = readFileSync(path).subarray(0, 8);
  await using file = new Unpacked(await systemDoors.disk.open(path, "nofollow"), packingOf(head) ?? "gzip", unpack, 2 * 2 ** 20);
  await file.reach(Number.POSITIVE_INFINITY, 2 ** 40);
  if (file.reached !== Number(bytes)) throw new Error(`${file.reached} bytes came out`);
}
