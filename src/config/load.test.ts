/** Reading the file itself: what keeps it from being read is a mistake with a hint. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemDisk } from "../core/disk.ts";
import { load } from "./load.ts";
import { mistakeText } from "./mistake.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "logferry-load-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function only(path: string): Promise<{ code: string; text: string }> {
  const loaded = await load(path, {}, systemDisk, "edge-1");
  if ("config" in loaded) throw new Error("was taken");
  expect(loaded.mistakes).toHaveLength(1);
  const [mistake] = loaded.mistakes;
  return { code: mistake!.code, text: mistakeText(mistake!) };
}
async function written(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test("a right file is taken, with the components of this version", async () => {
  const path = await written("right.yaml", "sources: { app: { type: stdin } }\nsinks: { disk: { type: directory, dir: /data } }\n");
  const loaded = await load(path, {}, systemDisk, "edge-1");
  expect(loaded).toMatchObject({
    config: { host: "edge-1", sources: { app: { kind: { type: "stdin" } } }, sinks: { disk: { kind: { type: "directory" } } } },
  });
});

test("a file that is not there names the option and the default", async () => {
  const { code, text } = await only(join(folder, "none.yaml"));
  expect(code).toBe("config_not_found");
  expect(text).toEndWith("none.yaml: there is no such file — name yours with `--config FILE`; without it logferry reads /etc/logferry/logferry.yaml");
});

test("a path through a file, a directory, a device", async () => {
  expect((await only(join(await written("plain", "a"), "b.yaml"))).code).toBe("config_unreadable");
  expect(await only(folder)).toMatchObject({ code: "config_not_a_file", text: expect.stringContaining("is a directory") });
  expect((await only("/dev/null")).code).toBe("config_not_a_file");
});

test("text that is not UTF-8, and more than anybody writes", async () => {
  expect((await only(await written("latin.yaml", Uint8Array.of(0x68, 0xff, 0xfe)))).code).toBe("config_syntax");
  expect((await only(await written("big.yaml", "#".repeat(1024 * 1024 + 1)))).code).toBe("config_too_large");
});

test("a file nobody may read", async () => {
  const path = await written("secret.yaml", "a: 1");
  await chmod(path, 0);
  const loaded = await load(path, {}, denied(path), "edge-1");
  expect(loaded).toMatchObject({
    mistakes: [{ code: "config_unreadable", message: "cannot be read: permission denied", hint: expect.stringContaining("mode") }],
  });
});

/** root may read everything: the door says what the system says to everyone else. */
function denied(path: string): typeof systemDisk {
  return {
    ...systemDisk,
    open: (opened, mode) =>
      opened === path
        ? Promise.reject(Object.assign(new Error("EACCES: permission denied, open"), { code: "EACCES" }))
        : systemDisk.open(opened, mode),
  };
}
