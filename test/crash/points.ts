/**
 * Places at which the process can be told to die, put around the doors of core/ before the product runs.
 *
 * Only the executable that test/crash builds for itself has them (entry.ts): the product has no line for it, and a test looks
 * into the release build. `LOGFERRY_CRASH_AT=POINT:N` dies by SIGKILL the Nth time that POINT is passed, after saying so on
 * stderr. `LOGFERRY_SYNC=lie` makes every sync a lie: with it a test of durability has to fail; `LOGFERRY_SYNC=100ms` makes each take so
 * much longer. `LOGFERRY_QUOTA=FILE`: what is written to files may take as many bytes in all as that file says, and EDQUOT beyond.
 */
import { writeSync } from "node:fs";
import { Quota } from "./quota.ts";
import type { Disk, DiskFile } from "../../src/core/disk.ts";
import type { Network } from "../../src/core/network.ts";

/** What is written to a file: where a crash lands differs by it. */
const subjects = ["segment", "seal", "checkpoint", "identity", "journal", "plan", "delivered", "object"] as const;
type Subject = (typeof subjects)[number];

/** The kind of a seal's block, which is a write of its own (spool/format.ts). */
const sealKind = 4;

/** `torn`: half of it written; `written`: not synced yet; `synced`: and nothing built on it yet. */
const moments = ["torn", "written", "synced"] as const;

/** Every point there is. Around the network: nothing has been sent; the answer is there and not written down; stored and not answered. */
export const points: readonly string[] = [
  ...subjects.flatMap((subject) => moments.map((moment) => `${subject}_${moment}`)).filter((point) => point !== "seal_synced"),
  "segment_opened",
  "segment_removed",
  "identity_renamed",
  "journal_renamed",
  "object_linked",
  "folder_synced",
  "request_sending",
  "request_answered",
  "ingest_stored",
];

const [wanted = "", count = "1"] = (process.env["LOGFERRY_CRASH_AT"] ?? "").split(":");
const lie = process.env["LOGFERRY_SYNC"] === "lie";
const syncMs = Number(/^(\d+)ms$/.exec(process.env["LOGFERRY_SYNC"] ?? "")?.[1] ?? 0);
const quota = process.env["LOGFERRY_QUOTA"] === undefined ? undefined : new Quota(process.env["LOGFERRY_QUOTA"]);
let left = Number(count);

/** True when it is time to die here: `torn` writes half first. */
function due(point: string): boolean {
  return point === wanted && --left <= 0;
}

function die(point: string): void {
  writeSync(2, `crash point ${point}\n`);
  process.kill(process.pid, "SIGKILL");
}

function pass(point: string): void {
  if (due(point)) die(point);
}

function subjectOf(path: string, bytes?: Uint8Array): Subject | undefined {
  if (path.includes("/segments/")) return bytes?.[8] === sealKind ? "seal" : "segment";
  if (path.includes("/positions.")) return "checkpoint";
  if (path.includes("/spool.json")) return "identity";
  if (path.includes(".ndjson")) return "object";
  if (!path.includes(".journal")) return undefined;
  const text = bytes === undefined ? "" : Buffer.from(bytes).toString("latin1");
  return text.includes('"kind":"planned"') ? "plan" : text.includes('"kind":"delivered"') ? "delivered" : "journal";
}

function watchFile(file: DiskFile): DiskFile {
  let last: Subject | undefined;
  return {
    path: file.path,
    read: (into, position) => file.read(into, position),
    async write(parts, position) {
      const bytes = Buffer.concat(parts);
      await quota?.grow(file, bytes, position);
      last = subjectOf(file.path, bytes);
      if (due(`${last}_torn`)) {
        await file.write([bytes.subarray(0, bytes.byteLength >> 1)], position);
        die(`${last}_torn`);
      }
      await file.write(parts, position);
      pass(`${last}_written`);
    },
    async datasync() {
      if (syncMs > 0) await Bun.sleep(syncMs);
      if (!lie) await file.datasync();
      pass(`${last}_synced`);
    },
    async truncate(bytes) {
      await file.truncate(bytes);
      quota?.set(file.path, bytes);
    },
    stat: () => file.stat(),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

export function watchDisk(disk: Disk): Disk {
  return {
    ...disk,
    async open(path, mode, permissions) {
      const file = await disk.open(path, mode, permissions);
      if (mode === "create" || mode === "write") quota?.set(path, (await file.stat()).bytes);
      if (mode === "create") pass(`${subjectOf(path)}_opened`);
      return mode === "read" || mode === "nofollow" ? file : watchFile(file);
    },
    async rename(from, to) {
      await disk.rename(from, to);
      quota?.move(from, to);
      pass(`${subjectOf(to)}_renamed`);
    },
    async link(from, to) {
      await disk.link(from, to);
      pass(`${subjectOf(to)}_linked`);
    },
    async remove(path) {
      await disk.remove(path);
      quota?.set(path, 0);
      pass(`${subjectOf(path)}_removed`);
    },
    async syncDirectory(path) {
      if (!lie) await disk.syncDirectory(path);
      pass("folder_synced");
    },
  };
}

export function watchNetwork(network: Network): Network {
  return {
    async request(request) {
      pass("request_sending");
      const answer = await network.request(request);
      pass("request_answered");
      return answer;
    },
    serve: (options) =>
      network.serve({
        ...options,
        async handle(request) {
          const answer = await options.handle(request);
          if (request.method === "POST") pass("ingest_stored");
          return answer;
        },
      }),
  };
}
