/** Spools to measure with, made by the spool itself: real segments of log records, only that nothing of them is synced. */
import { createBoard } from "../src/core/board.ts";
import type { Frames } from "../src/core/contract.ts";
import type { Disk, DiskFile } from "../src/core/disk.ts";
import { systemDoors } from "../src/core/doors.ts";
import { silent } from "../src/core/log.ts";
import { createMeter } from "../src/core/meter.ts";
import { openSpool, type Spool } from "../src/spool/spool.ts";

/** The system's disk, which makes nothing durable: what is measured comes after. */
const hastyDisk: Disk = {
  ...systemDoors.disk,
  open: async (path, mode, permissions) => hasty(await systemDoors.disk.open(path, mode, permissions)),
  syncDirectory: () => Promise.resolve(),
};

function hasty(file: DiskFile): DiskFile {
  return {
    path: file.path,
    read: (into, position) => file.read(into, position),
    write: (parts, position) => file.write(parts, position),
    datasync: () => Promise.resolve(),
    truncate: (bytes) => file.truncate(bytes),
    stat: () => file.stat(),
    close: () => file.close(),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}

/** Kept, since the runtime takes an open file that is collected for a mistake. */
const abandoned: Spool[] = [];

export interface Shape {
  readonly segments: number;
  readonly segmentBytes: number;
}

/**
 * Fills a new spool in `dir` with `segments` segments of about `segmentBytes` and leaves it as a kill would: no last checkpoint,
 * positions of 50 files. Returns its NDJSON bytes.
 */
export async function makeSpool(dir: string, { segments, segmentBytes }: Shape): Promise<{ bytes: number; rawBytes: number; records: number }> {
  const board = createBoard(silent, Date.now);
  const spool = await openSpool({
    config: {
      dir,
      max_bytes: 2 ** 40,
      when_full: "block",
      min_free_bytes: 0,
      commit_interval: 1,
      segment_bytes: segmentBytes,
      retain: 0,
      level: 1,
    },
    doors: { ...systemDoors, disk: hastyDisk },
    board,
    log: silent,
    meter: createMeter(),
    writer: "0.0.0-bench",
    machineId: await machineId(),
    sinks: ["out"],
    kill: new AbortController().signal,
    takeLock: () => ({ [Symbol.dispose]: () => {} }),
  });
  // Each append is a group of its own, and a few of them make a segment.
  const groupBytes = Math.min(512 * 1024, Math.floor(segmentBytes / 2.2));
  for (let n = 0; spool.status().segments < segments || lastBytes(spool) < segmentBytes / 2; n++) await append(spool, n, groupBytes);
  const { bytes, last_sequence } = spool.status();
  const made = { bytes, rawBytes: spool.reader.bytesFrom(0), records: last_sequence + 1 };
  abandoned.push(spool);
  return made;
}

/** The newest segment's share of the mean: so that the last one is no stump. */
function lastBytes(spool: Spool): number {
  const { bytes, segments } = spool.status();
  return segments === 0 ? 0 : bytes / segments;
}

/** Records whose text does not compress, so that bytes on disk are bytes written. */
function append(spool: Spool, n: number, bytes: number): Promise<void> {
  const text = Buffer.from(systemDoors.random.bytes(Math.floor(bytes * 0.98))).toString("base64");
  const lineBytes = 300;
  const write = (frames: Frames): void => {
    const timeMs = Date.now();
    for (let at = 0; at < text.length; at += lineBytes) {
      const record = Buffer.from(
        `{"timestamp":"2026-11-23T01:30:20.590123Z","host":"bench","source":"in","offset":${n * text.length + at},"message":"${text.slice(at, at + lineBytes)}"}\n`,
      );
      const frame = frames("", {}, timeMs, record.byteLength);
      frame.bytes.set(record, frame.length);
      frame.length += record.byteLength;
      frame.records++;
      frame.minMs = Math.min(frame.minMs, timeMs);
      frame.maxMs = Math.max(frame.maxMs, timeMs);
    }
  };
  return spool.append(write, "in", { [`file-${n % 50}`]: { path: `/var/log/app/${n % 50}.log`, offset: n * bytes } });
}

async function machineId(): Promise<string> {
  const file = Bun.file("/etc/machine-id");
  return (await file.exists()) ? (await file.text()).trim() : "";
}
