/** The spool on a disk that is slow, full, over its quota, read-only or failing: it waits, says so, loses nothing, and goes on by itself. */
import { expect, test } from "bun:test";
import { noise, SpoolRig } from "../../test/support/spoolrig.ts";
import { until } from "../../test/support/until.ts";
import type { Disk, DiskFile } from "../core/disk.ts";
import { systemDisk } from "../core/disk.ts";
import { reserveBytes } from "../core/limits.ts";

const MiB = 2 ** 20;
const failed = (code: string): Error => Object.assign(new Error(code), { code });

/** The system's disk, whose segments do as they are told. */
class Moody {
  /** Thrown by the next writes to segments, half of whose bytes are then there. */
  writeFails: string | undefined;
  syncFails: string | undefined;
  createFails: string | undefined;
  syncMs = 0;
  syncs = 0;
  freeBytes = 2 ** 40;
  /** As a quota: writes to the reserve find none. */
  reserveFails: string | undefined;
  /** Bytes that all files may still grow by; undefined: as many as they like. Cutting one gives some back. */
  room: number | undefined;

  readonly disk: Disk = {
    ...systemDisk,
    open: async (path, mode, permissions) => {
      const segment = path.endsWith(".zst");
      if (segment && mode === "create" && this.createFails !== undefined) throw failed(this.createFails);
      return this.#file(await systemDisk.open(path, mode, permissions), segment, path.endsWith("/reserve"));
    },
    space: () => Promise.resolve({ freeBytes: this.freeBytes, totalBytes: 2 ** 40 }),
  };

  async #grow(file: DiskFile, end: number): Promise<void> {
    if (this.room === undefined) return;
    const more = Math.max(0, end - (await file.stat()).bytes);
    if (more > this.room) throw failed("ENOSPC");
    this.room -= more;
  }

  #file(file: DiskFile, segment: boolean, reserve: boolean): DiskFile {
    return {
      path: file.path,
      read: (into, position) => file.read(into, position),
      write: async (parts, position) => {
        await this.#grow(file, position + parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
        if (reserve && this.reserveFails !== undefined) throw failed(this.reserveFails);
        if (!segment || this.writeFails === undefined) return file.write(parts, position);
        const all = Buffer.concat(parts);
        await file.write([all.subarray(0, all.byteLength / 2)], position);
        throw failed(this.writeFails);
      },
      datasync: async () => {
        if (!segment) return file.datasync();
        this.syncs++;
        if (this.syncMs > 0) await Bun.sleep(this.syncMs);
        if (this.syncFails !== undefined) throw failed(this.syncFails);
        return file.datasync();
      },
      truncate: async (bytes) => {
        if (this.room !== undefined) this.room += Math.max(0, (await file.stat()).bytes - bytes);
        await file.truncate(bytes);
      },
      stat: () => file.stat(),
      close: () => file.close(),
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    };
  }
}

const codes = (rig: SpoolRig): string[] => rig.board.reasons().map(({ code }) => code);
const reserveSize = async (rig: SpoolRig): Promise<number> => (await systemDisk.stat(rig.spool.layout.reserve))?.bytes ?? 0;

/** Fails `moody` with `put` while two records come in, mends it with `mend`: both are there once, whatever was reported meanwhile. */
async function waitsAndGoesOn(put: (moody: Moody) => void, code: string, paused: string, mend: (moody: Moody) => void): Promise<void> {
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk });
  await rig.put(["{}"], "app", { n: 1 });
  put(moody);
  let acknowledged = false;
  const more = rig.put([noise(2, 1000)], "app", { n: 2 }).then(() => (acknowledged = true));
  await until(() => codes(rig).includes(code), `${code} stands`);
  expect(rig.spool.status().paused as string).toBe(paused);
  expect(rig.spool.accepting()).toBe(false);
  expect(acknowledged).toBe(false);
  expect(rig.spool.positions("app").get("n")).toBe(1);
  mend(moody);
  await more;
  expect(codes(rig)).toEqual([]);
  expect(rig.spool.status().paused).toBe("");
  expect(await rig.read()).toHaveLength(2);
  await rig.close();
  await using again = await SpoolRig.open({}, rig.dir);
  expect(await again.read()).toHaveLength(2);
  expect(again.spool.positions("app").get("n")).toBe(2);
  expect(again.board.counts()).toEqual({});
}

test("no space in the middle of a write: cut back, tried again, gone on", () =>
  waitsAndGoesOn(
    (moody) => (moody.writeFails = "ENOSPC"),
    "spool_no_space",
    "failing",
    (moody) => (moody.writeFails = undefined),
  ));

test("a read-only file system: named, tried again, gone on", () =>
  waitsAndGoesOn(
    (moody) => (moody.createFails = moody.writeFails = "EROFS"),
    "spool_write_failed",
    "failing",
    (moody) => (moody.createFails = moody.writeFails = undefined),
  ));

test("a failed sync: the segment is left, what it was to hold is written to another, nothing was acknowledged", () =>
  waitsAndGoesOn(
    (moody) => (moody.syncFails = "EIO"),
    "spool_sync_failed",
    "failing",
    (moody) => (moody.syncFails = undefined),
  ));

test("a quota: what is free by the file system's account is not, and the reserve goes to the journals and comes back first", async () => {
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk });
  await rig.put(["{}"]);
  expect(await reserveSize(rig)).toBe(reserveBytes);
  moody.writeFails = moody.reserveFails = "EDQUOT";
  const more = rig.put(["{}"]);
  await until(async () => (await reserveSize(rig)) === 0, "the reserve was given");
  // A little room, less than the reserve: it is not for segments.
  moody.writeFails = undefined;
  await until(() => codes(rig).includes("spool_disk_full"), "no segment takes it");
  const held = rig.spool.status().bytes;
  moody.reserveFails = undefined;
  await more;
  expect(rig.spool.status().bytes).toBeGreaterThan(held);
  expect(await reserveSize(rig)).toBe(reserveBytes);
  expect(codes(rig)).toEqual([]);
}, 30_000);

for (const reserve of ["there", "gone"]) {
  test(`a start on a disk that is full to the last byte, the reserve ${reserve}: it succeeds, says so, takes nothing, and goes on by itself`, async () => {
    const moody = new Moody();
    const before = await SpoolRig.open({ disk: moody.disk });
    await before.put(["{}"], "app", { n: 1 });
    const { epoch } = before.spool.reader;
    await before.close();
    if (reserve === "gone") await systemDisk.remove(before.spool.layout.reserve);
    moody.room = 0;
    moody.freeBytes = 0;
    await using rig = await SpoolRig.open({ disk: moody.disk, config: { min_free_bytes: "1MiB" } }, before.dir);
    expect(rig.spool.reader.epoch).not.toBe(epoch);
    await until(() => codes(rig).includes("spool_disk_full"), "it says that the disk is full, though nobody appends");
    expect({ paused: rig.spool.status().paused, accepting: rig.spool.accepting() }).toEqual({ paused: "no_space", accepting: false });
    expect(await rig.read()).toEqual(["{}"]);
    const more = rig.put(["{}"], "app", { n: 2 });
    moody.room = moody.freeBytes = 2 ** 30;
    await more;
    await until(() => codes(rig).length === 0 && rig.spool.status().paused === "", "it goes on");
    // The epoch of this life is on the disk, for the life after it.
    await rig.close();
    await using again = await SpoolRig.open({}, rig.dir);
    expect(again.spool.reader.pastEpochs?.slice(0, 2)).toEqual([rig.spool.reader.epoch, epoch]);
    expect(again.board.counts()).toEqual({});
  }, 30_000);
}

test("full while nobody appends: who must write something down is given the reserve all the same, checkpoints included", async () => {
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk, config: { retain: "1h" } });
  await rig.put(["{}"]);
  await until(async () => (await systemDisk.stat(rig.spool.layout.positions[0])) !== undefined, "the first checkpoint is written");
  expect(await reserveSize(rig)).toBe(reserveBytes);
  moody.room = 0;
  await rig.spool.reader.makeRoom?.();
  expect({ reserve: await reserveSize(rig), room: moody.room }).toEqual({ reserve: 0, room: reserveBytes });
  // Taken back before anything else is written.
  moody.room = undefined;
  await rig.put(["{}"]);
  expect(await reserveSize(rig)).toBe(reserveBytes);
  moody.room = 0;
  await rig.close();
  expect(await reserveSize(rig)).toBe(0);
  await using again = await SpoolRig.open({}, rig.dir);
  expect(again.board.counts()).toEqual({});
}, 30_000);

test("after the kill an append is refused, not left waiting; so is what waited then", async () => {
  const kill = new AbortController();
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk, kill: kill.signal });
  await rig.put(["{}"], "app", { n: 1 });
  moody.writeFails = "ENOSPC";
  const refused = async (n: number): Promise<unknown> => {
    const put = rig.put(["{}"], "app", { n }).catch((cause: unknown) => (cause as { code: string }).code);
    return Promise.race([put, Bun.sleep(5000).then(() => "left waiting")]);
  };
  const waits = refused(2);
  await until(() => codes(rig).includes("spool_no_space"), "it waits");
  kill.abort();
  expect(await waits).toBe("spool_closed");
  // One that comes while it ends, and those that come when it has ended.
  for (let n = 3; n < 6; n++) {
    expect(await refused(n)).toBe("spool_closed");
    await Bun.sleep(5);
  }
  expect(rig.spool.positions("app").get("n")).toBe(1);
});

test("min_free_bytes: others fill the disk, the spool stops before it is full; below the reserve, journals get that; both come back", async () => {
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk, config: { min_free_bytes: "64MiB" } });
  await rig.put(["{}"]);
  moody.freeBytes = 60 * MiB;
  // What was seen of the file system is a second old at most.
  await until(async () => {
    void rig.put(["{}"]);
    await Bun.sleep(50);
    return rig.spool.status().paused === "no_space";
  }, "the spool waits");
  expect(codes(rig)).toEqual(["spool_disk_full"]);
  expect(await reserveSize(rig)).toBe(reserveBytes);
  moody.freeBytes = MiB;
  await until(async () => (await reserveSize(rig)) === 0, "the reserve was given");
  moody.freeBytes = 70 * MiB; // with the reserve taken back, 62 would be left
  await Bun.sleep(1500);
  expect(rig.spool.status().paused).toBe("no_space");
  moody.freeBytes = 80 * MiB;
  await until(() => rig.spool.status().paused === "", "it goes on");
  expect(await reserveSize(rig)).toBe(reserveBytes);
}, 30_000);

test("100 ms a sync: several MB a second through group commit", async () => {
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk, config: { commit_interval: "250ms" } });
  moody.syncMs = 100;
  const records = Array.from({ length: 500 }, (_, n) => JSON.stringify({ source: "app", n, message: "x".repeat(900) }));
  const chunkBytes = records.reduce((sum, record) => sum + record.length + 1, 0);
  const began = performance.now();
  const chunks = 100;
  // Sixteen sources side by side, each of which waits for one chunk before it brings the next.
  let next = 0;
  const source = async (): Promise<void> => {
    while (next++ < chunks) await rig.put(records);
  };
  await Promise.all(Array.from({ length: 16 }, source));
  const seconds = (performance.now() - began) / 1000;
  expect((chunks * chunkBytes) / seconds).toBeGreaterThan(5 * MiB);
  expect(moody.syncs).toBeLessThan(chunks / 4);
}, 60_000);

test("a sync that takes two seconds does not hold up the event loop", async () => {
  const moody = new Moody();
  await using rig = await SpoolRig.open({ disk: moody.disk });
  moody.syncMs = 2000;
  let worstMs = 0;
  let last = performance.now();
  const watch = setInterval(() => {
    const now = performance.now();
    worstMs = Math.max(worstMs, now - last);
    last = now;
  }, 5);
  await rig.put(["{}"]);
  clearInterval(watch);
  // Far above what a busy machine takes from us, far below a sync that is waited for.
  expect(worstMs).toBeLessThan(1000);
}, 60_000);
