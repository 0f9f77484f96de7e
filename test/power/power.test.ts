/**
 * Power loss for real: the executable works on a file system whose power is cut at random moments, and every cut is brought
 * back to life. What was acknowledged by then has arrived once; what a file holds has arrived once; nothing else has.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Status } from "../../src/core/view.ts";
import { buildWithPoints } from "../crash/build.ts";
import { readLake } from "../support/lake.ts";
import { executable, writeConfig } from "../support/logferry.ts";
import { leftOut } from "../support/privilege.ts";
import { startProcess } from "../support/process.ts";
import { freePort } from "../support/port.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { powerImage, unavailable, type Cut, type PowerImage } from "./image.ts";

let dir: Scratch;
let missing: string | undefined;

beforeAll(async () => {
  dir = await scratch();
  missing = await unavailable(dir.path);
});
afterAll(() => dir[Symbol.asyncDispose]());

interface Acknowledged {
  /** Posts answered with 204 before the cut began. */
  readonly posts: number;
  readonly cut: Cut;
}

interface Run {
  readonly cuts: Acknowledged[];
  /** Everything that was ever sent or written. */
  readonly posted: number;
  readonly written: number;
}

const batch = { bytes_max: "16KiB", age_max: "150ms" };
const linesPerPost = 7;

async function configFor(folder: string, mount: string, logs: string, port: number): Promise<string> {
  return writeConfig(folder, {
    control: { listen: "127.0.0.1:0", socket: join(folder, "control.sock") },
    spool: { dir: join(mount, "spool"), commit_interval: "20ms", segment_bytes: "1MiB", max_bytes: "16MiB" },
    sources: {
      app: { type: "file", include: [join(logs, "*.log")] },
      ingest: { type: "http", listen: `127.0.0.1:${port}`, bearer_token_file: join(logs, "token") },
    },
    sinks: { lake: { type: "directory", dir: join(mount, "lake"), batch } },
  });
}

/** Runs `path` on the image for a while: a file grows, records are posted one body after the other, power is cut `count` times. */
async function runAndCut(image: PowerImage, path: string, env: Record<string, string>, folder: string, count: number): Promise<Run> {
  const logs = join(folder, "logs");
  await mkdir(logs, { recursive: true });
  await writeFile(join(logs, "token"), "t");
  const port = await freePort();
  const config = await configFor(folder, image.mount, logs, port);
  await using running = startProcess([path, "run", "--config", config], { env });
  await until(async () => (await fetch("http://localhost/ready", { unix: join(folder, "control.sock") })).ok, "it is ready");
  let over = false;
  let posted = 0;
  let acknowledged = 0;
  let written = 0;
  const posting = (async () => {
    while (!over) {
      const body = Array.from({ length: linesPerPost }, (_, i) => `w=post n=${posted + i} `).join("\n");
      posted += linesPerPost;
      const answer = await fetch(`http://127.0.0.1:${port}/v1/records`, {
        method: "POST",
        headers: { authorization: "Bearer t", "content-type": "text/plain" },
        body,
      });
      if (answer.status !== 204) throw new Error(`${answer.status} ${await answer.text()}`);
      acknowledged = posted;
    }
  })();
  const writing = (async () => {
    while (!over) {
      await appendFile(join(logs, "app.log"), Array.from({ length: 20 }, (_, i) => `w=app n=${written + i} words\n`).join(""));
      written += 20;
      await Bun.sleep(5);
    }
  })();
  await until(() => acknowledged > 0, "the first records are acknowledged");
  const cuts: Acknowledged[] = [];
  for (let i = 0; i < count; i++) {
    await Bun.sleep(100 + Math.random() * 400);
    let posts = 0;
    const cut = await image.cut(`cut-${i}`, () => (posts = acknowledged));
    cuts.push({ posts, cut });
  }
  over = true;
  await Promise.all([posting, writing]);
  await running.stop("SIGKILL");
  return { cuts, posted, written };
}

/** What has arrived once the host of a cut is up again and has drained: how often each number did. */
async function afterwards(image: PowerImage, cut: Cut, run: Run, folder: string): Promise<{ posts: Uint8Array; lines: Uint8Array; foreign: number }> {
  return image.look(cut, async (mount) => {
    const again = `${cut.path}.run`;
    await mkdir(again);
    const config = await configFor(again, mount, join(folder, "logs"), await freePort());
    await using running = startProcess([executable, "run", "--config", config]);
    let quiet = 0;
    let ended = false;
    void running.exited.then(() => (ended = true));
    await until(async () => {
      if (ended) throw new Error(`it ended: ${running.stderr()}`);
      const { sources, sinks } = (await (await fetch("http://localhost/status", { unix: join(again, "control.sock") })).json()) as Status;
      const done = sources["app"]?.lag_bytes === 0 && sources["app"].files?.length === 1 && sinks["lake"]?.lag_records === 0;
      quiet = done ? quiet + 1 : 0;
      return quiet > 10;
    }, "it has drained after the power cut");
    expect(await running.stop()).toBe(0);
    // A power cut is no damage, and must not be taken for it.
    expect(await readdir(join(mount, "spool", "quarantine"))).toEqual([]);
    const posts = new Uint8Array(run.posted);
    const lines = new Uint8Array(run.written);
    let foreign = 0;
    for (const { message = "" } of await readLake(join(mount, "lake"))) {
      const [, name, n] = /^w=(\S+) n=(\d+) /.exec(message) ?? [];
      const counts = name === "post" ? posts : name === "app" ? lines : undefined;
      if (counts === undefined || !(Number(n) < counts.length)) foreign++;
      else counts[Number(n)] = (counts[Number(n)] ?? 0) + 1;
    }
    return { posts, lines, foreign };
  });
}

test("power cut: nothing acknowledged is lost (twelve of them), every record is there once, every line of the file is there once", async () => {
  if (leftOut("power loss on a real file system", missing)) return;
  await using image = await powerImage(dir.join("honest"));
  const folder = dir.join("honest-run");
  const run = await runAndCut(image, executable, {}, folder, 12);
  const verdicts: object[] = [];
  for (const { cut, posts } of run.cuts) {
    const found = await afterwards(image, cut, run, folder);
    verdicts.push({
      lostPosts: found.posts.subarray(0, posts).filter((count) => count === 0).length,
      repeatedPosts: found.posts.filter((count) => count > 1).length,
      lostLines: found.lines.filter((count) => count === 0).length,
      repeatedLines: found.lines.filter((count) => count > 1).length,
      foreign: found.foreign,
    });
  }
  expect(verdicts).toEqual(run.cuts.map(() => ({ lostPosts: 0, repeatedPosts: 0, lostLines: 0, repeatedLines: 0, foreign: 0 })));
  // Cuts that see nothing acknowledged would show nothing.
  expect(run.cuts.every(({ posts }) => posts > 0)).toBe(true);
  process.stderr.write(
    `power: ${run.cuts.length} cuts, ${run.cuts.map(({ posts }) => posts).join(" ")} records acknowledged at them, none lost, none twice\n`,
  );
}, 280_000);

test("the same with an executable whose syncs are lies is caught: acknowledged records are gone", async () => {
  if (leftOut("power loss on a real file system", missing)) return;
  await using image = await powerImage(dir.join("lying"));
  const folder = dir.join("lying-run");
  const liar = await buildWithPoints(dir.path);
  const run = await runAndCut(image, liar, { LOGFERRY_SYNC: "lie" }, folder, 3);
  let lost = 0;
  for (const { cut, posts } of run.cuts) {
    const found = await afterwards(image, cut, run, folder);
    lost += found.posts.subarray(0, posts).filter((count) => count === 0).length;
  }
  expect(lost).toBeGreaterThan(0);
}, 280_000);
