/**
 * Kills logferry over and over while files are written and rotated, and counts what became of every line.
 *
 *     writer ──files──▶ edge ──▶ folder          edge and central: the real executable, with crash points
 *                        ├────▶ bucket           (versitygw)
 *                        └─http─▶ central ──▶ folder
 *
 * Both instances die by SIGKILL, at a random moment or at a point of points.ts, each on a clock of its own; at the end both
 * are left alone until everything has arrived.
 */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Status } from "../../src/core/view.ts";
import { writeConfig } from "../support/logferry.ts";
import { runProcess, startProcess, type Started } from "../support/process.ts";
import { freePort } from "../support/port.ts";
import type { Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw } from "../support/versitygw.ts";
import { points } from "./points.ts";
import { tallyOf, type Tally } from "./tally.ts";

export interface CrashOptions {
  readonly dir: Scratch;
  readonly executable: string;
  readonly seconds: number;
  readonly linesPerSecond: number;
  readonly onKill?: (result: Kills) => void;
}

export interface Kills {
  edge: number;
  central: number;
  random: number;
  /** Kills at each point. */
  readonly points: Record<string, number>;
}

export interface CrashResult {
  readonly kills: Kills;
  /** Lines and bytes the writer wrote. */
  readonly lines: number;
  readonly places: Record<string, Tally>;
  /** What should never be: an instance that ended by itself, a kill taken for damage. */
  readonly broken: string[];
}

/** Between two deaths of one instance: long enough to commit, ship and clean up, short enough to be killed in the start as well. */
const lifeMsMax = 2000;
/** What a life that is to end at a point is given to come there; a start takes a few hundred milliseconds of it. */
const pointMsMax = 4000;
const chosenShare = 0.75;
/** The Nth time a point is passed: some are passed once in a start, most a few times a second. */
const passesMax = 8;
/** Points that only one of the two comes by. */
const only: Readonly<Record<string, "edge" | "central">> = { request_sending: "edge", request_answered: "edge", ingest_stored: "central" };
const batch = { bytes_max: "256KiB", age_max: "300ms" };
const writer = join(import.meta.dir, "..", "support", "writer.ts");

export async function crash(options: CrashOptions): Promise<CrashResult> {
  const { dir, executable } = options;
  await mkdir(dir.join("logs"));
  await mkdir(dir.join("central"));
  await using s3 = await startVersitygw(dir.join("s3"));
  const configs = await writeConfigs(dir, s3);
  const kills: Kills = { edge: 0, central: 0, random: 0, points: {} };
  const broken: string[] = [];
  const end = performance.now() + options.seconds * 1000;
  await using writing = startProcess([process.execPath, writer, dir.join("logs"), "86400", String(options.linesPerSecond / 2), "4000", "a", "b"]);
  const mortal = async (name: "edge" | "central"): Promise<void> => {
    while (performance.now() < end && broken.length === 0) {
      const fault = await oneLife(executable, configs[name], name, kills);
      kills[name]++;
      if (fault !== undefined) broken.push(`${name}: ${fault}`);
      options.onKill?.(kills);
    }
  };
  await Promise.all([mortal("edge"), mortal("central")]);
  await using central = startProcess([executable, "run", "--config", configs.central]);
  await using edge = startProcess([executable, "run", "--config", configs.edge]);
  await writing.stop();
  const written = JSON.parse(writing.stdout()) as Record<string, number>;
  await arrived(edge, dir.join("control.sock"), "edge");
  broken.push(...(await ended(edge, "edge")));
  await arrived(central, dir.join("central", "control.sock"), "central");
  broken.push(...(await ended(central, "central")));
  for (const spool of [dir.join("spool"), dir.join("central", "spool")]) broken.push(...(await damageIn(executable, spool)));
  const places: Record<string, Tally> = {};
  for (const [name, path] of [
    ["folder", dir.join("lake")],
    ["bucket", dir.join("s3", "logs")],
    ["central", dir.join("far")],
  ] as const)
    places[name] = await tallyOf(path, written);
  return { kills, lines: Object.values(written).reduce((sum, lines) => sum + lines, 0), places, broken };
}

async function writeConfigs(
  dir: Scratch,
  s3: { endpoint: string; accessKey: string; secretKey: string },
): Promise<{ edge: string; central: string }> {
  await makeBucket(dir.join("s3"), "logs");
  await writeFile(dir.join("id"), s3.accessKey);
  await writeFile(dir.join("secret"), s3.secretKey);
  await writeFile(dir.join("token"), "a-token");
  // The central has to come back at the same address after each death.
  const port = await freePort();
  const retry = { min: "50ms", max: "500ms" };
  const spool = { segment_bytes: "1MiB", max_bytes: "64MiB", commit_interval: "100ms" };
  const edge = await writeConfig(dir.path, {
    spool: { dir: dir.join("spool"), ...spool },
    sources: { app: { type: "file", include: [dir.join("logs", "*.log*")] } },
    sinks: {
      lake: { type: "directory", dir: dir.join("lake"), batch, retry },
      bucket: {
        type: "s3",
        bucket: "logs",
        region: "us-east-1",
        endpoint: s3.endpoint,
        path_style: true,
        access_key_id_file: dir.join("id"),
        secret_access_key_file: dir.join("secret"),
        batch,
        retry,
      },
      central: { type: "http", url: `http://127.0.0.1:${port}/v1/records`, bearer_token_file: dir.join("token"), batch, retry },
    },
  });
  const central = await writeConfig(dir.join("central"), {
    spool: { dir: dir.join("central", "spool"), ...spool },
    sources: { ingest: { type: "http", listen: `127.0.0.1:${port}`, bearer_token_file: dir.join("token") } },
    sinks: { lake: { type: "directory", dir: dir.join("far"), batch, retry } },
  });
  return { edge, central };
}

/** Starts it and lets it die. Returns what it said when it ended in another way. */
async function oneLife(executable: string, config: string, name: "edge" | "central", kills: Kills): Promise<string | undefined> {
  const chosen = Math.random() < chosenShare;
  const near = points.filter((point) => (only[point] ?? name) === name);
  const passes = Math.random() < 0.4 ? 1 : 1 + Math.floor(Math.random() * passesMax);
  const at = `${near[Math.floor(Math.random() * near.length)]}:${passes}`;
  await using running = startProcess([executable, "run", "--config", config], chosen ? { env: { LOGFERRY_CRASH_AT: at } } : {});
  let timer: Timer | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, chosen ? pointMsMax : Math.random() * lifeMsMax)));
  await Promise.race([running.exited, over]);
  clearTimeout(timer);
  const code = await running.stop("SIGKILL");
  const point = /^crash point (\S+)$/m.exec(running.stderr())?.[1];
  if (point === undefined) kills.random++;
  else kills.points[point] = (kills.points[point] ?? 0) + 1;
  return code === 137 ? undefined : `ended with ${code}: ${running.stderr().slice(-2000)}`;
}

async function statusOf(socket: string): Promise<Status> {
  return (await (await fetch("http://localhost/status", { unix: socket })).json()) as Status;
}

async function arrived(process: Started, socket: string, name: string): Promise<void> {
  let gone = false;
  void process.exited.then(() => (gone = true));
  let quiet = 0;
  await until(
    async () => {
      if (gone) return true;
      const { sources, sinks } = await statusOf(socket);
      const done =
        Object.values(sources).every((source) => (source.lag_bytes ?? 0) === 0) && Object.values(sinks).every((sink) => sink.lag_records === 0);
      quiet = done ? quiet + 1 : 0;
      return quiet > 20;
    },
    `everything from ${name} has arrived`,
    180_000,
  );
}

async function ended(process: Started, name: string): Promise<string[]> {
  const code = await process.stop("SIGTERM");
  return code === 0 ? [] : [`${name}: drained with ${code}: ${process.stderr().slice(-2000)}`];
}

/** A kill leaves no damage: whatever is taken for it is a mistake of recovery. */
async function damageIn(executable: string, spool: string): Promise<string[]> {
  const kept = (await readdir(join(spool, "quarantine"))).map((name) => `${spool}: ${name} in quarantine`);
  const { code, stdout } = await runProcess([executable, "spool", "verify", "--dir", spool]);
  return code === 0 ? kept : [...kept, stdout];
}

/** The one line, and whether all is well. */
export function summary(result: CrashResult, seconds: number): { line: string; failed: boolean } {
  const { kills, lines, places, broken } = result;
  const atPoints = Object.values(kills.points).reduce((sum, count) => sum + count, 0);
  const all = Object.values(places);
  const sum = (of: (tally: Tally) => number): number => all.reduce((total, tally) => total + of(tally), 0);
  const [lost, repeated, foreign] = [sum(({ lost: count }) => count), sum(({ repeated: count }) => count), sum(({ foreign: count }) => count)];
  const number = (count: number): string => count.toLocaleString("en-US");
  const line =
    `${(seconds / 60).toFixed(1)} minutes, ${kills.edge + kills.central} kills (edge ${kills.edge}, central ${kills.central}; ` +
    `${kills.random} at random moments, ${atPoints} at ${Object.keys(kills.points).length} of ${points.length} points), ` +
    `${number(lines)} lines to each of ${all.length} places, ${number(sum(({ bytes }) => bytes))} bytes in ${number(sum(({ objects }) => objects))} objects: ` +
    `${number(lost)} lost, ${number(repeated)} repeated, ${number(foreign)} foreign${broken.length === 0 ? "" : `, ${broken.length} things that should never be`}`;
  return { line, failed: lost + repeated + foreign + broken.length > 0 || lines === 0 };
}
