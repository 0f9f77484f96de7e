/** `sinks forget`: what a former sink holds is said, given up, and gone from the spool at the next start. */
import { expect, test } from "bun:test";
import { SpoolRig } from "../../test/support/spoolrig.ts";
import { testIo } from "../../test/support/io.ts";
import { systemDoors } from "../core/doors.ts";
import { Fault } from "../core/fault.ts";
import { Journal } from "../sink/journal.ts";
import { forget, type ForgetOptions } from "./sinks.ts";

/** A spool of 100 records and the journal of `lake`, which has delivered the first 30 and ten more. */
async function left(): Promise<{ rig: SpoolRig; config: string }> {
  const rig = await SpoolRig.open();
  await rig.put(Array.from({ length: 100 }, (_, n) => JSON.stringify({ source: "app", n })));
  const journal = await Journal.open({
    path: `${rig.spool.layout.sinks}/lake.journal`,
    sink: "lake",
    spoolId: rig.spool.reader.id,
    doors: systemDoors,
    onFault: () => {},
  });
  await journal.create(30);
  await journal.append({ kind: "passed", low: 30, above: [[40, 49]] });
  await journal.close();
  await rig.spool.noteSinks(["lake"]);
  const config = `${rig.dir}/logferry.json`;
  const sinks = { other: { type: "directory", dir: `${rig.dir}/out` } };
  await Bun.write(config, JSON.stringify({ spool: { dir: rig.dir }, sources: { app: { type: "stdin" } }, sinks }));
  return { rig, config };
}

async function call(name: string, options: ForgetOptions): Promise<{ exit: number | string; out: string }> {
  const io = testIo();
  try {
    return { exit: await forget(name, options, io), out: io.out() };
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    return { exit: cause.code, out: `${cause.message}: ${cause.hint}` };
  }
}

test("it refuses while an instance runs, for a sink that is configured, and for one nobody knows", async () => {
  const { rig, config } = await left();
  await using _ = rig;
  expect((await call("lake", { config })).exit).toBe("spool_locked");
  expect((await call("other", { config })).exit).toBe("sink_configured");
  const unknown = await call("lak", { config });
  expect(unknown.exit).toBe("sink_unknown");
  expect(unknown.out).toContain("still hold: lake");
});

test("a dry run says what would be given up and changes nothing; then it is gone, and the spool lets go of it", async () => {
  const { rig, config } = await left();
  await using _ = rig;
  await rig.close();
  const told = JSON.parse((await call("lake", { config, json: true, dryRun: true })).out) as { records: number; bytes: number; forgotten: boolean };
  expect(told).toMatchObject({ sink: "lake", forgotten: false, records: 60, from_sequence: 30 });
  expect(told.bytes).toBeGreaterThan(60 * 20);
  expect((await call("lake", { config })).out).toMatch(/^lake is forgotten; given up: 60 records \(1\.\d KiB\) from sequence 30 on/);
  expect((await call("lake", { config })).exit).toBe("sink_unknown");
  const again = await SpoolRig.open({ sinks: ["other"] }, rig.dir);
  expect(again.spool.sinksKnown).toEqual([]);
  again.spool.reader.claim("other", again.spool.reader.nextSequence());
  await again.close();
  const empty = await SpoolRig.open({ sinks: ["other"] }, rig.dir);
  expect(empty.spool.status().segments).toBe(0);
  await empty.close();
});

test("a journal that cannot be read any more holds everything, and can be forgotten too", async () => {
  const { rig, config } = await left();
  await using _ = rig;
  await rig.close();
  await Bun.write(`${rig.spool.layout.sinks}/lake.journal`, "nonsense\n");
  expect((await call("lake", { config })).out).toMatch(/^lake is forgotten; given up: 100 records/);
});
