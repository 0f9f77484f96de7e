import { describe, expect, test } from "bun:test";
import { decidePacked, isPackedName, kinOf, type PackedFacts, type PackedVerdict } from "./compressed.ts";
import { emptyMark, headBytesMax } from "./identity.ts";
import { unreadPosition } from "./tracked.ts";

const gone: PackedFacts = {
  bytes: "other",
  kin: "near",
  original: "gone",
  head: "equal",
  growing: false,
  length: "reaches",
  tail: "equal",
  end: "different",
};
const stands: PackedFacts = { ...gone, original: "stands", end: "equal" };

describe("each row of the table", () => {
  const rows: [number, string, PackedFacts, PackedVerdict][] = [
    [1, "read to its end before", { ...gone, bytes: "equal" }, "done"],
    [1, "the same while another stands", { ...stands, bytes: "equal", head: "different" }, "done"],
    [2, "no kin, though it has the same bytes", { ...gone, kin: "no", bytes: "equal" }, "new"],
    [3, "begins differently", { ...gone, head: "different" }, "new"],
    [4, "gzip is at work", { ...stands, growing: true }, "wait"],
    [4, "gzip has just begun", { ...stands, growing: true, head: "shorter" }, "wait"],
    [5, "both stand", stands, "watch"],
    [6, "another generation that begins alike", { ...stands, end: "different" }, "new"],
    [7, "takes over, at the offset", gone, "copy"],
    [7, "takes over while it is still written", { ...gone, growing: true, head: "shorter" }, "copy"],
    [7, "moved to another folder and compressed there", { ...gone, kin: "far" }, "copy"],
    [8, "goes on differently", { ...gone, tail: "different" }, "new"],
    [9, "not yet written as far as we have read", { ...gone, length: "below", growing: true }, "wait"],
    [10, "ends before our offset", { ...gone, length: "below" }, "short"],
    [11, "the same, and too little is known of it", { ...gone, length: "below", head: "shorter" }, "new"],
  ];
  test.each(rows)("row %i: %s", (row, _, facts, verdict) => {
    expect(decidePacked(facts)).toEqual({ verdict, row });
  });
});

test("names that compressors give", () => {
  for (const name of ["a.log.1.gz", "a.log-20261123.zst", "A.GZ", "a.zstd"]) expect(isPackedName(`/var/log/${name}`)).toBe(true);
  for (const name of ["a.log", "a.gz.log", "gz", "a.zip", "a.xz"]) expect(isPackedName(`/var/log/${name}`)).toBe(false);
});

test("kin by folder and stem, by inode, and from another folder only with all of the first bytes", () => {
  const stat = { kind: "file", bytes: 10, device: 1, inode: 2, links: 1, modifiedMs: 0 } as const;
  const known = { ...unreadPosition("/var/log/app.log", { ...stat, inode: 3 }), head: { ...emptyMark, n: headBytesMax } };
  expect(kinOf("/var/log/app.log.1.gz", stat, known)).toBe("near");
  expect(kinOf("/var/log/app.log-20261123.zst", stat, known)).toBe("near");
  expect(kinOf("/var/log/anything.gz", { ...stat, inode: 3 }, known)).toBe("near");
  expect(kinOf("/var/log/old/app.log.1.gz", stat, known)).toBe("far");
  expect(kinOf("/var/log/old/app.log.1.gz", stat, { ...known, head: { ...emptyMark, n: 100 } })).toBe("no");
  expect(kinOf("/var/log/api.log.1.gz", stat, known)).toBe("no");
});
