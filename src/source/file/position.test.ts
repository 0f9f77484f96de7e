import { expect, test } from "bun:test";
import { markOf } from "./identity.ts";
import { positionFromJson, positionToJson, type Position } from "./position.ts";

const position: Position = {
  path: "/var/log/app.log.1",
  name: "/var/log/app.log",
  device: 65024,
  inode: 9986068,
  head: markOf(Buffer.from("head")),
  tail: markOf(Buffer.from("tail")),
  offset: 183,
  skipping: true,
  forget: 1_795_400_000_000,
};

test("a position comes back as it was committed", () => {
  expect(positionFromJson(JSON.parse(JSON.stringify(positionToJson(position))))).toEqual(position);
  const plain = { ...position, name: position.path, skipping: false, forget: undefined };
  expect(positionFromJson(positionToJson(plain))).toEqual(plain);
});

test("what is none of ours is none", () => {
  const json = positionToJson(position) as Record<string, unknown>;
  for (const broken of [
    null,
    true,
    "x",
    [],
    {},
    { ...json, offset: -1 },
    { ...json, offset: 2 },
    { ...json, head: [4] },
    { ...json, tail: ["4", "x"] },
    { ...json, inode: "1" },
  ]) {
    expect(positionFromJson(broken as never)).toBeUndefined();
  }
});
