/** A sink with `required: false` that is dead, the real executable: it fails nothing, holds nothing up, and what it loses is counted. */
import { expect, test } from "bun:test";
import { appendFile, writeFile } from "node:fs/promises";
import { numbered, startForeign } from "../support/foreign.ts";
import { lostAndRepeated, readLake } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { look, recovered, standing } from "../support/look.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const none = { lost: 0, repeated: 0, foreign: 0 };
const batch = { bytes_max: "1MiB", age_max: "100ms" };
const retry = { min: "50ms", max: "200ms" };

function config(dir: Scratch, url: string, optional: object = {}, more: object = {}): Promise<string> {
  return writeConfig(dir.path, {
    sources: { app: { type: "file", include: [dir.join("a.log")] } },
    sinks: {
      lake: { type: "directory", dir: dir.join("lake"), batch },
      extra: { type: "http", url, batch, retry, required: false, ...optional },
    },
    ...more,
  });
}

test("refused for good and stalled, it degrades health and does not fail it; the same of a required one fails", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("no", { status: 403 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 500));
  const socket = dir.join("control.sock");
  const health = { health: { stalled_after: "1s" } };
  for (const required of [false, true]) {
    const path = await config(dir, foreign.url, { required }, { ...health, drain_timeout: "100ms" });
    await using running = startLogferry(path, socket);
    await running.ready();
    const seen = await standing(socket, "sinks.extra", "http_unauthorized", required ? "failing" : "degraded", ["403"]);
    expect(seen.status.sinks["extra"]?.state).toBe("denied");
    const stalled = await until(async () => {
      const each = await look(socket);
      return each.reasons.some(({ code }) => code === "stalled") ? each : undefined;
    }, "it has stalled");
    expect({ state: stalled.state, health: stalled.health, ready: stalled.ready }).toEqual(
      required ? { state: "failing", health: 503, ready: 200 } : { state: "degraded", health: 200, ready: 200 },
    );
    // Cut short by the deadline: of a sink that is not required that is no failure of the run.
    expect(await running.stop()).toBe(required ? 3 : 0);
  }
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 500 })).toEqual(none);
});

test("run --once ends without it once it has not moved for drain_timeout, and says so; the next run goes on", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 500));
  const path = await config(dir, foreign.url, {}, { drain_timeout: "500ms" });
  const first = await logferry(["run", "--once", "--config", path]);
  expect({ code: first.code, said: first.stderr.includes('"component":"sinks.extra","lag_records":500') }).toEqual({ code: 0, said: true });
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 500 })).toEqual(none);
  expect(foreign.records).toEqual([]);

  // One that is slow and gets on is waited for, however long it takes in all.
  foreign.answer = async () => {
    await Bun.sleep(300);
    return new Response(null, { status: 204 });
  };
  await appendFile(dir.join("a.log"), numbered("a", 500, 4000, 1000));
  const second = await logferry(["run", "--once", "--config", path]);
  expect({ code: second.code, said: second.stderr.includes("is not required") }).toEqual({ code: 0, said: false });
  expect(lostAndRepeated(foreign.records, { a: 4500 })).toEqual(none);
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 4500 })).toEqual(none);
}, 60_000);

test("hold_bytes: it falls behind and loses its oldest, counted; the other sink and the sources do not notice", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 8000, 1000));
  const path = await config(dir, foreign.url, { hold_bytes: "2MiB" }, { spool: { segment_bytes: "1MiB", max_bytes: "8MiB" } });
  const socket = dir.join("control.sock");
  await using running = startLogferry(path, socket);
  await running.ready();
  await until(async () => (await running.status()).sinks["lake"]?.records === 8000, "the required sink has everything");
  await standing(socket, "spool", "spool_dropping", "degraded", ["records of app", "hold_bytes"]);
  const { status } = await until(async () => {
    const seen = await look(socket);
    return seen.status.spool.bytes <= 2 * 2 ** 20 ? seen : undefined;
  }, "no more is held than may be");
  const gone = status.sources["app"]?.dropped_records ?? 0;
  expect(gone).toBeGreaterThan(4000);
  expect(status.spool).toMatchObject({ paused: "", first_sequence: gone, dropped_records: gone });
  foreign.answer = () => new Response(null, { status: 204 });
  const { sinks } = await until(async () => {
    const seen = await running.status();
    return seen.sinks["extra"]?.lag_records === 0 ? seen : undefined;
  }, "it has what is left");
  // By then a few more may have gone.
  const lost = sinks["extra"]?.dropped_records ?? 0;
  expect(lost).toBe((await running.status()).sources["app"]?.dropped_records ?? -1);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 8000 })).toEqual({ lost, repeated: 0, foreign: 0 });
  expect(lostAndRepeated(await readLake(dir.join("lake")), { a: 8000 })).toEqual(none);
}, 60_000);

test("while it is away and has room, nothing is lost, and it catches up", async () => {
  await using dir = await scratch();
  await using foreign = startForeign();
  foreign.answer = () => new Response("later", { status: 503 });
  await writeFile(dir.join("a.log"), numbered("a", 0, 2000, 500));
  const path = await config(dir, foreign.url, { hold_bytes: "32MiB" });
  const socket = dir.join("control.sock");
  await using running = startLogferry(path, socket);
  await running.ready();
  await standing(socket, "sinks.extra", "http_busy", "degraded", ["503"]);
  foreign.answer = () => new Response(null, { status: 204 });
  await recovered(socket);
  expect(await running.stop()).toBe(0);
  expect(lostAndRepeated(foreign.records, { a: 2000 })).toEqual(none);
}, 60_000);
