import { expect, test } from "bun:test";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { scratch } from "../../test/support/scratch.ts";
import { systemDisk } from "./disk.ts";
import { openSecret } from "./secret.ts";

test("a secret is trimmed, and read again once its file was replaced", async () => {
  await using dir = await scratch();
  const path = dir.join("token");
  await writeFile(path, " first \n");
  const secret = openSecret(systemDisk, path);
  expect(await secret.read()).toBe("first");
  await writeFile(dir.join("new"), "other\n");
  await rename(dir.join("new"), path);
  expect(await secret.read()).toBe("other");
});

test("a file that holds no secret is a fault that names it and what to do", async () => {
  await using dir = await scratch();
  await writeFile(dir.join("empty"), "\n");
  await writeFile(dir.join("huge"), "x".repeat(300_000));
  await mkdir(dir.join("folder"));
  for (const [name, words] of [
    ["missing", "no such file"],
    ["empty", "is empty"],
    ["huge", "too large"],
    ["folder", "is a directory"],
  ] as const) {
    const fault = await openSecret(systemDisk, dir.join(name))
      .read()
      .catch((cause: unknown) => cause);
    expect(fault).toMatchObject({ code: "secret_unreadable", retry: "denied" });
    expect((fault as Error).message).toContain(words);
    expect((fault as Error).message).toContain(dir.join(name));
  }
});
