/**
 * A file through a Loki and back: logferry pushes its records, another source of it reads them again, and a folder has what came back
 * beside a folder with what was sent. Killed again and again, over answers that are lost or refused for a while: every record is back
 * once, with labels and offset, in its order; times that say nanoseconds are theirs.
 */
import { expect, test } from "bun:test";
import { appendFile, mkdir } from "node:fs/promises";
import { type Arrived, readLake } from "../support/lake.ts";
import { startLogferry, writeConfig } from "../support/logferry.ts";
import { startLoki } from "../support/loki/under.ts";
import { scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";

const kills = 4;

/** What stands in a line, equal ones too: those are told apart by where they stand. */
const lineOf = (n: number): string => (n % 5 === 0 ? "ping" : n % 7 === 0 ? `"q\\uoted" ü\t${"x".repeat(n % 900)}` : `n=${n} of many`);

interface Back extends Arrived {
  readonly metadata?: Record<string, string>;
}

/** What a record is but for its time, as it was sent. */
function sent({ host, source, file, offset, message, labels }: Arrived): string {
  return JSON.stringify([{ ...labels, host, source, file }, String(offset), message]);
}

/** The same of a record that came back: what it was is in labels and metadata. */
function back({ labels, metadata, message }: Back): string {
  const { env, host, source, file } = labels ?? {};
  return JSON.stringify([{ env, host, source, file }, metadata?.["offset"], message]);
}

/** Nanoseconds within its second, and the second. */
function nanosOf(timestamp: string): bigint {
  const [whole = "", fraction = ""] = timestamp.replace("Z", "").split(".");
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
}

/** Records that are not behind the one before them in their file, as Loki shows them. */
function misplaced(records: readonly Back[]): number {
  let count = 0;
  for (const [, members] of Map.groupBy(records, ({ labels }) => labels?.["file"])) {
    const byTime = members.toSorted((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
    count += byTime.filter(({ metadata }, at) => Number(byTime[at - 1]?.metadata?.["offset"] ?? -1) >= Number(metadata?.["offset"])).length;
  }
  return count;
}

test("a file through Loki and back over kills: every record once, to the nanosecond, in its order", async () => {
  await using dir = await scratch();
  await using server = await startLoki();
  const { fake } = server;
  let stored = 0;
  if (fake !== undefined)
    fake.script = {
      before: () => (fake.random.next() < 0.1 ? { status: fake.random.next() < 0.5 ? 429 : 503 } : undefined),
      // The third for certain, since few pushes may be all that there are.
      after: () => (++stored === 3 || fake.random.next() < 0.1 ? { status: 502, text: "stored, but nobody heard of it" } : undefined),
    };
  const access = { url: `${server.url}/`, tenant: "t1" };
  const every = { batch: { age_max: "100ms" }, retry: { min: "20ms", max: "200ms" } };
  await mkdir(dir.join("logs"));
  const config = await writeConfig(dir.path, {
    sources: {
      app: { type: "file", include: [dir.join("logs/*.log")], labels: { env: "prod" } },
      timed: { type: "file", include: [dir.join("logs/*.timed")], timestamp: "rfc3339", labels: { env: "prod" } },
      again: { type: "loki", ...access, query: '{env="prod"}', start: "1h", settle: "1s", sweep_interval: "500ms" },
    },
    sinks: {
      logs: { type: "loki", from: ["app", "timed"], ...access, ...every, concurrency: 2 },
      sent: { type: "directory", from: ["app", "timed"], dir: dir.join("sent"), ...every },
      back: { type: "directory", from: ["again"], dir: dir.join("back"), ...every },
    },
  });
  let written = 0;
  let over = false;
  const writing = (async () => {
    while (!over) {
      for (const name of ["a", "b"]) {
        const text = Array.from({ length: 40 }, () => `${lineOf(written++)}\n`).join("");
        await appendFile(dir.join(`logs/${name}.log`), text);
      }
      // Never 000 at the end: a time of six digits is another matter.
      const time = (n: number): string => new Date().toISOString().replace("Z", `${String((n % 99_999) * 10 + 7).padStart(6, "0")}Z`);
      const timed = Array.from({ length: 20 }, () => `${time(written)} ${lineOf(written++)}\n`).join("");
      await appendFile(dir.join("logs/c.timed"), timed);
      await Bun.sleep(20);
    }
  })();
  const socket = dir.join("control.sock");
  for (let life = 0; life < kills; life++) {
    await using running = startLogferry(config, socket);
    await running.ready();
    const goal = written + 3000;
    await until(() => written >= goal, "more was written");
    await running.stop("SIGKILL");
  }
  over = true;
  await writing;
  await using last = startLogferry(config, socket);
  await last.ready();
  await until(async () => (await readLake(dir.join("back"))).length >= written, "all has come back");
  expect(await last.stop()).toBe(0);
  const origin = await readLake(dir.join("sent"));
  const returned = (await readLake(dir.join("back"))) as Back[];
  const times = new Map(origin.map((record) => [sent(record), nanosOf(record.timestamp)]));
  expect({ records: origin.length, distinct: times.size }).toEqual({ records: written, distinct: written });
  expect(returned.map(back).toSorted()).toEqual([...times.keys()].toSorted());
  // Times of nanoseconds are theirs; those of a read, which many share, are moved by less than a line each.
  const moved = returned.map((record) => ({
    own: record.labels?.["source"] === "timed",
    by: nanosOf(record.timestamp) - (times.get(back(record)) ?? 0n),
  }));
  expect(moved.filter(({ own, by }) => (own ? by !== 0n : by < 0n || by >= BigInt(written)))).toEqual([]);
  expect(misplaced(returned)).toBe(0);
  if (fake === undefined) return;
  // It was told some of it more than once, and refused none of it.
  expect(fake.pushes.filter(({ status }) => status === 502).length).toBeGreaterThan(0);
  expect(fake.pushes.filter(({ status }) => status === 400)).toEqual([]);
}, 240_000);
