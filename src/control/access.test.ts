/** Who may ask: names a foreign site cannot have, and the token. */
import { describe, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { scratch } from "../../test/support/scratch.ts";
import { systemDisk } from "../core/disk.ts";
import { hostAllowed, openToken } from "./access.ts";

describe("hostAllowed", () => {
  const names = ["edge-1", "control.example.com"];

  test.each([
    null,
    "127.0.0.1",
    "127.0.0.1:8470",
    "10.1.2.3:80",
    "[::1]:8470",
    "[::1]",
    "localhost",
    "LOCALHOST:8470",
    "edge-1:8470",
    "Control.Example.com",
  ])("takes %p", (header) => {
    expect(hostAllowed(header, names)).toBe(true);
  });

  test.each([
    "evil.example",
    "evil.example:8470",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "edge-1.evil.example",
    "",
    "a, 127.0.0.1",
    "::1",
    "127.0.0.1:8470:1",
    "user@127.0.0.1",
  ])("refuses %p", (header) => {
    expect(hostAllowed(header, names)).toBe(false);
  });
});

describe("openToken", () => {
  test("without a file no token opens anything", async () => {
    const check = await openToken(undefined, systemDisk);
    expect(await check(null)).toBe("missing");
    expect(await check("Bearer anything")).toBe("missing");
  });

  test("tells a missing, a wrong and the right token apart", async () => {
    await using dir = await scratch();
    const path = dir.join("token");
    await writeFile(path, "correct-horse\n");
    const check = await openToken(path, systemDisk);
    expect(await check(null)).toBe("missing");
    for (const wrong of ["Bearer correct-hors", "Bearer correct-horse2", "Bearer ", "Basic Y29ycmVjdC1ob3JzZQ==", "correct-horse", ""]) {
      expect(await check(wrong)).toBe("wrong");
    }
    expect(await check("Bearer correct-horse")).toBe("granted");
    expect(await check("bearer correct-horse")).toBe("granted");
  });

  test("takes the new token once the file has changed, and keeps the old one while it cannot be read", async () => {
    await using dir = await scratch();
    const path = dir.join("token");
    await writeFile(path, "first");
    const check = await openToken(path, systemDisk);
    await systemDisk.remove(path);
    expect(await check("Bearer first")).toBe("granted");
    await writeFile(path, "second-one");
    expect(await check("Bearer first")).toBe("wrong");
    expect(await check("Bearer second-one")).toBe("granted");
  });

  test("rejects at the start when the file is missing", async () => {
    await expect(openToken("/nowhere/token", systemDisk)).rejects.toMatchObject({ code: "secret_unreadable" });
  });
});
