import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { startReceiver, type Receiver } from "../../../test/support/receiver.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";

const spool = "a".repeat(32);
const epochs = ["00000001", "00000002", "00000003"] as const;

interface Batch {
  readonly epoch?: string;
  readonly number: number;
  readonly text?: string;
  readonly lane?: string;
  readonly sink?: string;
  readonly token?: string;
}

function post(
  receiver: Receiver,
  { epoch = epochs[0], number, text = `${epoch}/${number}`, lane = "0", sink = "central", token }: Batch,
  more: Record<string, string> = {},
): Promise<Response> {
  return receiver.post(`${text}\n`, {
    "Content-Type": "text/plain",
    "Logferry-Batch": [spool, epoch, sink, lane, String(number)].map(encodeURIComponent).join("/"),
    "Logferry-Digest": `sha256:${createHash("sha256").update(`${text}\n`).digest("hex")}`,
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...more,
  });
}

const status = async (receiver: Receiver, batch: Batch): Promise<number> => (await post(receiver, batch)).status;
const messages = (receiver: Receiver): unknown[] => receiver.store.records.map((record) => record["message"]);

test("the next number is taken, the last one again is answered the same and stored once", async () => {
  await using receiver = await startReceiver();
  for (const number of [0, 0, 1, 1, 1, 2]) expect(await status(receiver, { number })).toBe(204);
  expect(messages(receiver)).toEqual(["00000001/0", "00000001/1", "00000001/2"]);
});

test("anything else is 409 with what is here: another body, an older number, a gap, a lane that is not known", async () => {
  await using receiver = await startReceiver();
  const unknown = await post(receiver, { number: 3 });
  expect(unknown.status).toBe(409);
  expect(await unknown.json()).toMatchObject({ code: "batch_conflict", epoch: null, number: null, digest: null });
  for (const number of [0, 1]) expect(await status(receiver, { number })).toBe(204);
  const held = { epoch: epochs[0], number: 1, digest: `sha256:${createHash("sha256").update("00000001/1\n").digest("hex")}` };
  for (const batch of [{ number: 1, text: "other" }, { number: 0 }, { number: 3 }, { number: 1, epoch: epochs[1] }]) {
    const answer = await post(receiver, batch);
    expect(answer.status).toBe(409);
    expect(await answer.json()).toMatchObject(held);
  }
  expect(messages(receiver)).toEqual(["00000001/0", "00000001/1"]);
});

test("a new epoch begins at 0; one that is over never comes back: a spool that was copied or rolled back is told", async () => {
  await using receiver = await startReceiver();
  const sequence: [epoch: string, number: number, status: number][] = [
    [epochs[0], 0, 204],
    [epochs[0], 1, 204],
    [epochs[1], 1, 409],
    [epochs[1], 0, 204],
    [epochs[0], 2, 409],
    [epochs[0], 1, 409],
    [epochs[0], 0, 409],
    [epochs[1], 1, 204],
    [epochs[2], 0, 204],
    [epochs[1], 0, 409],
    [epochs[2], 1, 204],
  ];
  for (const [epoch, number, expected] of sequence)
    expect([epoch, number, await status(receiver, { epoch, number })]).toEqual([epoch, number, expected]);
  expect(messages(receiver)).toEqual(["00000001/0", "00000001/1", "00000002/0", "00000002/1", "00000003/0", "00000003/1"]);
});

test("lanes, sinks and tokens are counted each for itself", async () => {
  await using dir = await scratch();
  for (const name of ["a", "b"]) await writeFile(dir.join(name), `token-${name}`);
  await using receiver = await startReceiver({ tokens: ["a", "b"].map((name) => ({ name, file: dir.join(name) })) });
  const others = [{}, { lane: "1" }, { lane: "date=2026-11-23/hour=01" }, { sink: "other" }, { token: "token-b" }];
  for (const number of [0, 1]) {
    for (const other of others) expect(await status(receiver, { token: "token-a", number, ...other })).toBe(204);
  }
  expect(receiver.store.records.length).toBe(10);
  expect([...receiver.store.positions.keys()]).toContain(`sender/a/${spool}/central/date%3D2026-11-23%2Fhour%3D01`);
});

test("a retry that overtakes its answer waits for the first try, and is stored once", async () => {
  await using receiver = await startReceiver();
  receiver.store.hold();
  const tries = [post(receiver, { number: 0 }), post(receiver, { number: 0 }), post(receiver, { number: 0 })];
  await until(() => receiver.store.pending > 0, "the first is on its way");
  await Bun.sleep(20); // a second one would be on its way by now
  expect(receiver.store.pending).toBe(1);
  receiver.store.release();
  expect((await Promise.all(tries)).map((answer) => answer.status)).toEqual([204, 204, 204]);
  expect(receiver.store.records.length).toBe(1);
});

test("after a crash of the receiver: what was durable is known, what was not is taken", async () => {
  let positions;
  let stored;
  {
    await using receiver = await startReceiver();
    expect(await status(receiver, { number: 0 })).toBe(204);
    receiver.store.hold();
    const lost = post(receiver, { number: 1 });
    await until(() => receiver.store.pending === 1, "it is on its way");
    receiver.store.crash();
    expect(await lost.then(({ status: code }) => code, () => 0)).not.toBe(204); // prettier-ignore
    await receiver.stop();
    ({ positions } = receiver.store);
    stored = messages(receiver);
  }
  await using again = await startReceiver({}, { positions });
  expect(await status(again, { number: 0 })).toBe(204);
  expect(await status(again, { number: 1 })).toBe(204);
  expect(await status(again, { number: 1 })).toBe(204);
  expect([...stored, ...messages(again)]).toEqual(["00000001/0", "00000001/1"]);
});

test("a batch that is refused for a bad line leaves its number free: the sender splits it and goes on", async () => {
  await using receiver = await startReceiver();
  const send = (number: number, body: string): Promise<Response> =>
    receiver.post(body, { "Content-Type": "application/x-ndjson", "Logferry-Batch": `${spool}/${epochs[0]}/central/0/${number}` });
  expect((await send(0, '{"a":1}\nbad\n')).status).toBe(400);
  expect((await send(0, '{"a":1}\n')).status).toBe(204);
  expect((await send(1, "bad\n")).status).toBe(400);
  expect((await send(1, "\n")).status).toBe(204);
  expect(receiver.store.records.length).toBe(1);
});

test.each([
  "",
  "x",
  `${spool}/1/central/0/0`,
  `${spool}/00000001/central/0/-1`,
  `${spool}/00000001/central/0`,
  `${spool}/00000001//0/0`,
  `${spool}/00000001/c/0/0/0`,
  `${spool}/00000001/%ff/0/0`,
])("a malformed Logferry-Batch is 400: %p", async (header) => {
  await using receiver = await startReceiver();
  const answer = await receiver.post("x", { "Logferry-Batch": header });
  expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([400, "batch_invalid"]);
});

test("lanes not seen for 30 days are forgotten, the others are not", async () => {
  const day = 86_400_000;
  const start = Date.UTC(2026, 10, 23);
  const at = (now: number) => ({ doors: { clock: { ...systemDoors.clock, now: () => now } } });
  let positions;
  {
    await using first = await startReceiver({}, at(start));
    expect(await status(first, { number: 0, lane: "old" })).toBe(204);
    ({ positions } = first.store);
  }
  {
    await using second = await startReceiver({}, { positions, ...at(start + 20 * day) });
    expect(await status(second, { number: 0, lane: "new" })).toBe(204);
    expect(second.store.positions.size).toBe(2);
    ({ positions } = second.store);
  }
  await using third = await startReceiver({}, { positions, ...at(start + 31 * day) });
  await until(() => third.store.positions.size === 1, "the old one is forgotten");
  expect([...third.store.positions.keys()][0]).toEndWith("/new");
  expect(await status(third, { number: 1, lane: "new" })).toBe(204);
  expect(await status(third, { number: 1, lane: "old" })).toBe(409);
});

test("who has lost its journal is told what it has brought: what is not below its low, batch by batch", async () => {
  await using receiver = await startReceiver();
  const bring = async (number: number, first: number, last: number, low: number, lane = "0"): Promise<number> => {
    const key = `${spool.slice(0, 16)}-${epochs[0]}-${first}-${last}`;
    const headers = { "Idempotency-Key": key, "Logferry-Low": String(low) };
    return (await post(receiver, { number, lane }, headers)).status;
  };
  const held = async (sink = "central"): Promise<unknown> => {
    const answer = await fetch(receiver.url, { method: "OPTIONS", headers: { "Logferry-Held": `${spool}/${sink}` } });
    return ((await answer.json()) as { lanes: unknown }).lanes;
  };
  expect(await held()).toEqual([]);
  expect(await bring(0, 0, 9, 0)).toBe(204);
  expect(await bring(1, 10, 19, 10)).toBe(204);
  expect(await bring(2, 30, 39, 20)).toBe(204);
  expect(await bring(0, 20, 29, 20, "1")).toBe(204);
  const lane = (low: number, ...had: [number, number][]) => ({ epoch: epochs[0], low, had: had.map(([first, last]) => [epochs[0], first, last]) });
  expect(await held()).toMatchObject([
    { ...lane(20, [30, 39]), lane: "0", number: 2 },
    { ...lane(20, [20, 29]), lane: "1", number: 0 },
  ]);
  expect(await held("another")).toEqual([]);
  // Touching ones are one; of more than 16 the oldest are left out, and that is said, until the sender is done with them.
  for (let n = 0; n < 17; n++) expect(await bring(3 + n, 100 + n * 10, 104 + n * 10, 20)).toBe(204);
  expect(await held()).toMatchObject([{ low: 20, cut: 104 }, {}]);
  expect(await bring(20, 265, 280, 106)).toBe(204);
  const [first] = (await held()) as [{ cut?: number; had: unknown[] }];
  expect({ cut: first.cut, newest: first.had.at(-1), count: first.had.length }).toEqual({ cut: undefined, newest: [epochs[0], 260, 280], count: 16 });
  // One that does not say where it is: of its lane nothing can be told any more.
  expect((await post(receiver, { number: 21 })).status).toBe(204);
  expect(await held()).toMatchObject([{ epoch: epochs[0], had: [] }, {}]);
});
