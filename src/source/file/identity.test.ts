import { describe, expect, test } from "bun:test";
import { decide, isKin, markOf, rotatedFrom, type Facts } from "./identity.ts";

const known: Facts = { inode: "same", kin: true, original: "gone", head: "equal", size: "reaches", tail: "equal", end: "equal", unread: false };

describe("each row of the table", () => {
  const rows: [number, string, Partial<Facts>, ReturnType<typeof decide>["verdict"]][] = [
    [0, "nothing was read of it: same inode", { unread: true }, "same"],
    [0, "nothing was read of it: another inode", { unread: true, inode: "other" }, "new"],
    [1, "cut to less than we have read", { size: "below" }, "new"],
    [2, "inode reused by something else", { head: "different" }, "new"],
    [3, "cut and grown past the offset, begins alike", { tail: "different" }, "new"],
    [4, "the same file", {}, "same"],
    [5, "another file that begins alike", { inode: "other", kin: false }, "new"],
    [6, "beside one that stands: begins differently", { inode: "other", original: "intact", head: "different" }, "new"],
    [7, "beside one that stands: goes on differently", { inode: "other", original: "intact", end: "different" }, "new"],
    [8, "a copy still being made", { inode: "other", original: "intact", head: "prefix", size: "below", tail: "different" }, "watch"],
    [9, "beside one that stands: other bytes before the offset", { inode: "other", original: "intact", tail: "different" }, "new"],
    [10, "a copy of one that stands", { inode: "other", original: "intact" }, "watch"],
    [11, "a copy of one that is gone", { inode: "other" }, "copy"],
    [12, "begins like one that is gone", { inode: "other", tail: "different" }, "new"],
  ];
  for (const [row, name, facts, verdict] of rows) {
    test(`row ${row}: ${name} → ${verdict}`, () => expect(decide({ ...known, ...facts })).toEqual({ verdict, row }));
  }
});

test("only the same inode goes on as the same, and only what holds all we have read goes on at all", () => {
  const all = <K extends keyof Facts>(key: K, values: readonly Facts[K][]): { key: K; values: readonly Facts[K][] } => ({ key, values });
  const axes = [
    all("inode", ["same", "other"]),
    all("kin", [true, false]),
    all("original", ["intact", "gone"]),
    all("head", ["equal", "prefix", "different"]),
    all("size", ["below", "reaches"]),
    all("tail", ["equal", "different"]),
    all("end", ["equal", "different"]),
  ];
  const cases = axes.reduce<Facts[]>((facts, { key, values }) => facts.flatMap((one) => values.map((value) => ({ ...one, [key]: value }))), [known]);
  expect(cases.length).toBe(192);
  for (const facts of cases) {
    const { verdict } = decide(facts);
    const holdsAll = facts.head === "equal" && facts.size === "reaches" && facts.tail === "equal";
    expect(verdict === "same").toBe(facts.inode === "same" && holdsAll);
    if (verdict === "copy") expect(holdsAll && facts.kin && facts.original === "gone").toBe(true);
  }
});

test("a mark is the published xxHash64, so that positions outlive the runtime", () => {
  expect(markOf(Buffer.from("abc"))).toEqual({ n: 3, hash: "44bc2cf5ad770999" });
});

test("rotated names lead back to the live one", () => {
  for (const name of [
    "app.log.1",
    "app.log.12",
    "app.log-20261123",
    "app.log.2026-11-23T01:30",
    "app.log.1.gz",
    "app.log.old",
    "app.log-20261123.zst",
  ]) {
    expect(rotatedFrom(`/var/log/${name}`)).toBe("/var/log/app.log");
  }
  for (const name of ["app.log", "app-2.log", "web1", "syslog"]) expect(rotatedFrom(`/var/log/${name}`)).toBe(`/var/log/${name}`);
});

test("kin are generations of one log in one folder", () => {
  expect(isKin("/a/app.log", "/a/app.log.1")).toBe(true);
  expect(isKin("/a/app.log", "/a/app-20261123.log")).toBe(true);
  expect(isKin("/a/app.log", "/b/app.log")).toBe(false);
  expect(isKin("/a/app.log", "/a/web.log.1")).toBe(false);
});
