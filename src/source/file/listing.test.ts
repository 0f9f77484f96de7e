/** Files as `/status` shows them: what somebody may have to look at first, and never more than was asked for. */
import { expect, test } from "bun:test";
import { appendFileSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";
import { Fault } from "../../core/fault.ts";
import type { FileStatus } from "../../core/files.ts";
import { listFiles } from "./listing.ts";
import { file } from "./source.ts";
import { Tracked, unreadPosition } from "./tracked.ts";

const stat = { kind: "file", bytes: 0, device: 1, inode: 1, links: 1, modifiedMs: 0 } as const;

function tracked(name: string, lag: number): Tracked {
  const one = new Tracked(name, unreadPosition(`/logs/${name}`, stat));
  one.bytes = lag;
  one.handle = {} as NonNullable<Tracked["handle"]>;
  return one;
}

test("of ten thousand, those that are unreadable, refused or furthest behind come first, all are counted", () => {
  const files = Array.from({ length: 10_000 }, (_, index) => tracked(`${index}`, index === 7000 ? 900 : index === 8000 ? 30 : 0));
  files[9000]!.fail(new Fault({ code: "file_unreadable", retry: "later", message: "read 9000" }), 0);
  const standing = [{ fault: new Fault({ code: "file_not_regular", retry: "later", message: "a pipe" }), detail: "/logs/pipe", sinceMs: 0 }];
  const began = performance.now();
  const { files: shown = [], files_total, file_states } = listFiles(files, standing, 4, 5);
  expect(performance.now() - began).toBeLessThan(500);
  expect(shown.map(({ path, state, lag_bytes }) => `${path} ${state} ${lag_bytes}`)).toEqual([
    "/logs/9000 unreadable 0",
    "/logs/pipe refused 0",
    "/logs/7000 reading 900",
    "/logs/8000 reading 30",
    "/logs/0 idle 0",
  ]);
  expect({ files_total, file_states }).toEqual({ files_total: 10_000, file_states: { idle: 9997, reading: 2, unreadable: 1, refused: 5 } });
  expect(listFiles(files, standing, 0, Number.POSITIVE_INFINITY).files?.length).toBe(10_001);
  expect(listFiles(files, standing, 0, 0).files).toEqual([]);
});

test("a file tells where we are in it, since when, in what state, and what was last wrong with it", async () => {
  await using dir = await scratch();
  mkdirSync(dir.join("logs"));
  const path = (name: string): string => dir.join("logs", name);
  for (const name of ["a.log", "b.log", "c.log", "d.log"]) writeFileSync(path(name), "one\ntwo\n");
  writeFileSync(dir.join("secret"), "secret\n");
  symlinkSync(dir.join("secret"), path("evil.log"));
  const failing = new Set<string>();
  const disk = {
    ...systemDoors.disk,
    async open(target: string, mode: "read" | "nofollow" | "write" | "create") {
      const handle = await systemDoors.disk.open(target, mode);
      const read = handle.read.bind(handle);
      handle.read = (into, at) => (failing.has(target) ? Promise.reject(Object.assign(new Error(), { code: "EIO" })) : read(into, at));
      return handle;
    },
  };
  const spool = new MemorySpool();
  const config = { type: "file", include: [path("*.log")], discover_interval: "30ms", partial_line_after: "5s", open_files_max: 3 };
  await using running = await startSource(file, config, spool, { doors: { ...systemDoors, disk } });
  const of = (name: string): FileStatus | undefined => running.source.status().files?.find((each) => each.path === path(name));
  await until(() => spool.lines.length === 8, "all is read");
  const states = { idle: 3, closed: 1, refused: 1 };
  await until(() => Bun.deepEquals(running.source.status().file_states, states), "one gave its descriptor to another, and all are read");
  const first = running.source.status().files?.[0];
  expect(first).toMatchObject({ path: path("evil.log"), state: "refused", identity: "", last_fault: { code: "file_symlink_refused" } });
  expect(of("d.log")).toMatchObject({ offset: 8, size: 8, lag_bytes: 0 });
  expect(Date.now() - Date.parse(of("d.log")?.last_read_time ?? "")).toBeLessThan(30_000);

  failing.add(path("d.log"));
  appendFileSync(path("d.log"), "three\n");
  await until(() => of("d.log")?.state === "unreadable", "it cannot be read");
  expect(of("d.log")?.last_fault).toMatchObject({ code: "file_unreadable", message: expect.stringMatching(/d\.log: input\/output error$/) });
  failing.clear();
  await until(() => of("d.log")?.state === "idle", "it can be read again");
  expect(of("d.log")).toMatchObject({ offset: 14, last_fault: { code: "file_unreadable" } });

  spool.hold();
  appendFileSync(path("c.log"), "three\n");
  await until(() => of("c.log")?.lag_bytes === 6 && of("c.log")?.state === "reading", "it lags, and is read");
  expect(of("c.log")).toMatchObject({ offset: 8, size: 14 });
  unlinkSync(path("c.log"));
  await until(() => of("c.log")?.state === "draining", "it is drained");
  expect(of("c.log")?.gone).toBe("deleted");
  spool.release();
  appendFileSync(path("b.log"), "three\nhalf");
  await until(() => of("b.log")?.offset === 14, "it is open");
  renameSync(path("b.log"), dir.join("b.old"));
  await until(() => running.source.status().files?.some((each) => each.gone === "renamed" && each.state === "draining") === true, "its last line");
});
