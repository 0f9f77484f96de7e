/** One damaged segment a test: the start goes on, exactly the damaged frame is lost, and everybody is told. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { appendFile, copyFile, mkdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import {
  aftermathOf,
  blocks,
  flip,
  groups,
  makeSpool,
  openIn,
  perGroup,
  perSegment,
  put,
  range,
  refusal,
  segment,
  total,
  without,
} from "./damaged.ts";

let dir: Scratch;
beforeEach(async () => {
  dir = await scratch();
  await makeSpool(dir.path);
});
afterEach(() => dir[Symbol.asyncDispose]());

const name = (number: number): string => `${String(number).padStart(16, "0")}.zst`;
/** A place in the middle of the spool: the third group of the second segment. */
const second = (): string => segment(dir.path, 2);
const group = 2;
const first = perSegment + group * perGroup;

test("a whole spool is whole: nothing verified, everything printed and read", async () => {
  const after = await aftermathOf(dir.path);
  expect(after).toMatchObject({ verified: [], printed: range(0, total), records: range(0, total), lost: [], health: [], counts: {}, quarantine: [] });
  expect(after.position).toBe(total);
});

test("a flipped byte in a payload costs that frame", async () => {
  const { payloads } = await blocks(second());
  await flip(second(), (payloads[group] ?? 0) + 9);
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(2)} spool_frame_corrupt`]);
  expect(after.printed).toEqual(without(first, first + perGroup));
  expect(after.records).toEqual(without(first, first + perGroup));
  expect(after.lost).toEqual(range(first, first + perGroup));
  expect(after.health).toEqual(["spool_frame_corrupt"]);
  expect(after.quarantine).toEqual([`${name(2).replace(".zst", "")}-${payloads[group]}.bin`]);
  const bytes = await readFile(second());
  const kept = await readFile(dir.join("quarantine", after.quarantine[0] ?? ""));
  expect(kept.equals(bytes.subarray(payloads[group], (payloads[group] ?? 0) + kept.byteLength))).toBe(true);
});

for (const [what, offset] of [
  ["the magic number", 1],
  ["the length field", 4],
  ["the kind", 8],
  ["the version", 9],
  ["the payload length", 28],
  ["the checksum", 57],
] as const) {
  test(`a flipped byte in ${what} of a frame's header costs that frame`, async () => {
    const { frames } = await blocks(second());
    await flip(second(), (frames[group] ?? 0) + offset);
    const after = await aftermathOf(dir.path);
    expect(after.verified).toContain(`${name(2)} spool_block_corrupt`);
    expect(new Set(after.verified.map((each) => each.split(" ")[0]))).toEqual(new Set([name(2)]));
    expect(after.printed).toEqual(without(first, first + perGroup));
    expect(after.records).toEqual(without(first, first + perGroup));
    expect(after.lost).toEqual(range(first, first + perGroup));
    expect(after.health).toEqual(["spool_block_corrupt"]);
    expect(after.quarantine).toEqual([`${name(2).replace(".zst", "")}-${frames[group]}.bin`]);
    expect(after.position).toBe(total);
  });
}

for (const [what, which] of [
  ["in the middle of a segment", 1],
  ["that ends a segment", groups - 1],
] as const) {
  test(`a flipped byte in a commit block ${what} costs no record and no position`, async () => {
    const { commits } = await blocks(second());
    await flip(second(), (commits[which] ?? 0) + 20);
    for (const file of ["positions.a", "positions.b"]) await rm(dir.join(file), { force: true });
    const after = await aftermathOf(dir.path);
    expect(after.verified).toEqual([`${name(2)} spool_block_corrupt`]);
    expect(after).toMatchObject({ printed: range(0, total), records: range(0, total), lost: [], position: total });
    expect(after.health).toEqual(["spool_block_corrupt"]);
  });
}

for (const checkpoints of ["there", "gone, as far as they would have it"]) {
  test(`a flipped byte in the newest commit block costs no record and no position, checkpoints ${checkpoints}`, async () => {
    const { commits } = await blocks(segment(dir.path, 3));
    await flip(segment(dir.path, 3), (commits.at(-1) ?? 0) + 20);
    if (checkpoints !== "there") for (const file of ["positions.a", "positions.b"]) await rm(dir.join(file), { force: true });
    const after = await aftermathOf(dir.path);
    expect(after.verified).toEqual([`${name(3)} spool_block_corrupt`]);
    expect(after).toMatchObject({ records: range(0, total), lost: [], position: total, health: ["spool_block_corrupt"] });
    // Nor does the start after this one take the numbers of the group for free ones.
    await using again = await openIn(dir.path);
    expect({ position: again.spool.positions("app").get("file"), codes: Object.keys(again.board.counts()) }).toMatchObject({ position: 9005 });
  });
}

test("a flipped byte in a seal costs nothing", async () => {
  const { seals } = await blocks(second());
  await flip(second(), (seals[1] ?? 0) + 14);
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(2)} spool_block_corrupt`]);
  expect(after).toMatchObject({ printed: range(0, total), records: range(0, total), lost: [], position: total });
});

test("a flipped byte in the newest seal costs nothing", async () => {
  const { seals } = await blocks(segment(dir.path, 3));
  await flip(segment(dir.path, 3), (seals.at(-1) ?? 0) + 14);
  expect(await aftermathOf(dir.path)).toMatchObject({ records: range(0, total), lost: [], position: total });
});

for (const number of [1, 2, 3]) {
  test(`a flipped byte in the head of segment ${number} of three costs no record`, async () => {
    await flip(segment(dir.path, number), 30);
    const after = await aftermathOf(dir.path);
    expect(after.verified).toEqual([`${name(number)} spool_block_corrupt`]);
    expect(after).toMatchObject({ printed: range(0, total), records: range(0, total), lost: [], position: total });
    expect(after.health).toEqual(["spool_block_corrupt"]);
  });
}

test("a rotten payload in the newest group is rot and not a torn tail, also after the next start", async () => {
  const last = segment(dir.path, 3);
  const { payloads } = await blocks(last);
  // A start that writes nothing must not take the seal with it.
  await (await openIn(dir.path)).spool.close();
  await flip(last, (payloads.at(-1) ?? 0) + 9);
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(3)} spool_frame_corrupt`]);
  expect(after.records).toEqual(range(0, total - perGroup));
  expect(after.lost).toEqual(range(total - perGroup, total));
  expect(after.position).toBe(total);
  expect(after.counts["spool_torn_tail"]).toBeUndefined();
});

test("a segment cut in the middle of the spool loses what was cut off", async () => {
  const { frames } = await blocks(second());
  await truncate(second(), (frames[group] ?? 0) + 100);
  const after = await aftermathOf(dir.path);
  expect(after.verified).toContain(`${name(2)} spool_segment_short`);
  expect(after.printed).toEqual(without(first, 2 * perSegment));
  expect(after.records).toEqual(without(first, 2 * perSegment));
  expect(after.lost).toEqual(range(first, 2 * perSegment));
  expect(after.health).toContain("spool_segment_short");
  expect(after.position).toBe(total);
});

test("the newest segment cut below what a checkpoint knows loses what was cut off, and says so", async () => {
  const { frames } = await blocks(segment(dir.path, 3));
  await truncate(segment(dir.path, 3), (frames[1] ?? 0) + 100);
  const kept = 2 * perSegment + perGroup;
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(3)} spool_segment_missing`]);
  expect(after.records).toEqual(range(0, kept));
  expect(after.lost).toEqual(range(kept, total));
  expect(after.health).toEqual(["spool_segment_missing"]);
});

for (const number of [1, 2, 3]) {
  test(`segment ${number} of three emptied loses its own records only`, async () => {
    await truncate(segment(dir.path, number), 0);
    const from = (number - 1) * perSegment;
    const after = await aftermathOf(dir.path);
    expect(after.verified.length).toBeGreaterThan(0);
    expect(after.records).toEqual(without(from, from + perSegment));
    // Before the oldest that is left nobody can tell what was there; sinks know from their journals.
    expect(after.lost).toEqual(range(from, from + perSegment));
    expect(after.health.length).toBeGreaterThan(0);
    expect(after.position).toBe(total);
  });
}

for (const number of [2, 3]) {
  test(`foreign bytes at the end of segment ${number} of three cost nothing, and are cut off and kept`, async () => {
    await appendFile(segment(dir.path, number), "somebody wrote into it");
    const after = await aftermathOf(dir.path);
    expect(after.verified).toEqual([`${name(number)} spool_segment_long`]);
    expect(after).toMatchObject({ printed: range(0, total), records: range(0, total), lost: [], position: total });
    expect(after.health).toEqual(["spool_segment_long"]);
    expect(await readFile(dir.join("quarantine", after.quarantine[0] ?? ""), "utf8")).toBe("somebody wrote into it");
    expect((await aftermathOf(dir.path)).verified).toEqual([]);
  });
}

test("half a group at the newest end is what a crash leaves: cut off, counted, and no damage", async () => {
  const last = segment(dir.path, 3);
  const { frames, commits } = await blocks(last);
  const bytes = await readFile(last);
  await appendFile(last, bytes.subarray(frames.at(-1), (commits.at(-1) ?? 0) - 5));
  const after = await aftermathOf(dir.path);
  expect(after).toMatchObject({ verified: [], records: range(0, total), lost: [], health: [], quarantine: [] });
  expect(after.counts["spool_torn_tail"]).toBe(1);
});

test("a file and a folder that are no segments are left alone", async () => {
  await writeFile(dir.join("segments", "notes.txt"), "mine");
  await mkdir(dir.join("segments", name(7)));
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(7)} spool_foreign_file`, "notes.txt spool_foreign_file"]);
  expect(after).toMatchObject({ records: range(0, total), lost: [], health: ["spool_foreign_file"] });
  expect(await readFile(dir.join("segments", "notes.txt"), "utf8")).toBe("mine");
});

for (const number of [9, 4]) {
  test(`a segment copied under the number ${number} is left alone, and nothing else is taken for abandoned`, async () => {
    await copyFile(segment(dir.path, 1), segment(dir.path, number));
    const bytes = (await stat(segment(dir.path, number))).size;
    const after = await aftermathOf(dir.path);
    expect(after.verified).toEqual([`${name(number)} spool_foreign_file`]);
    expect(after).toMatchObject({ printed: range(0, total), records: range(0, total), lost: [], health: ["spool_foreign_file"], position: total });
    expect((await stat(segment(dir.path, number))).size).toBe(bytes);
    expect(await Bun.file(segment(dir.path, number + 1)).exists()).toBe(true);
  });
}

test("a file of noise under the next number is no reason to forget what a checkpoint knows", async () => {
  await writeFile(segment(dir.path, 4), Buffer.alloc(5000, "noise"));
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(4)} spool_segment_long`]);
  expect(after).toMatchObject({ records: range(0, total), lost: [], position: total });
});

test("a segment missing in the middle loses its records, is named, and everything behind it is read", async () => {
  await rm(second());
  const after = await aftermathOf(dir.path);
  expect(after.verified).toEqual([`${name(3)} spool_sequence_gap`]);
  expect(after.printed).toEqual(without(perSegment, 2 * perSegment));
  expect(after.records).toEqual(without(perSegment, 2 * perSegment));
  expect(after.lost).toEqual(range(perSegment, 2 * perSegment));
  expect(after.health).toEqual(["spool_segment_missing"]);
  expect(after.position).toBe(total);
});

test("with all segments gone the numbers and positions go on", async () => {
  await rm(dir.join("segments"), { recursive: true });
  await mkdir(dir.join("segments"));
  await using opened = await openIn(dir.path);
  expect(opened.spool.reader.nextSequence()).toBe(total);
  expect(opened.spool.positions("app").get("file")).toBe(total);
  await put(opened.spool, total, 1);
  expect(opened.spool.reader.firstSequence()).toBe(total);
});

test("damage stands in health until somebody has taken it out of quarantine, restarts included", async () => {
  const { payloads } = await blocks(second());
  await flip(second(), (payloads[group] ?? 0) + 9);
  await aftermathOf(dir.path);
  await using again = await openIn(dir.path);
  expect(again.board.reasons().map(({ code, severity }) => [code, severity])).toEqual([["spool_quarantine_kept", "degraded"]]);
  await rm(dir.join("quarantine"), { recursive: true });
  await until(() => again.board.reasons().length === 0, "health is ok again");
}, 60_000);

test("a segment of a later format is refused, names its writer, and nothing is changed", async () => {
  const bytes = await readFile(segment(dir.path, 3));
  // A later head: other flags, more fields behind the writer, a later version; the rest as every version has it.
  const length = bytes.readUInt32LE(4) + 8;
  const writer = "0.0.0-test";
  // Behind the writer today: the length of a seal, and the checksum.
  const fields = bytes.subarray(12, length - 4 - 4 - writer.length - 1);
  const head = Buffer.concat([bytes.subarray(0, 12), fields, Buffer.from("\u00057.1.0"), Buffer.from("more that only 7.1.0 knows"), Buffer.alloc(4)]);
  head.writeUInt32LE(head.byteLength - 8, 4);
  head.writeUInt8(7, 9);
  head.writeUInt16LE(0xbeef, 10);
  head.writeUInt32LE(Bun.hash.crc32(head.subarray(0, -4)), head.byteLength - 4);
  await writeFile(segment(dir.path, 3), Buffer.concat([head, bytes.subarray(length)]));
  await appendFile(segment(dir.path, 2), "would be cut");
  const before = await readFile(segment(dir.path, 2));
  const fault = await refusal(dir.path);
  expect(fault.code).toBe("spool_future_format");
  expect(fault.message).toContain("was written by logferry 7.1.0");
  expect(await readFile(segment(dir.path, 2))).toEqual(before);
});
