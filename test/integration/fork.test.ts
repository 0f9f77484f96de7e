/**
 * Forks of a spool under the real executable: copied while it is in use, rolled back, carried to another machine, copied with plans that
 * the other life brings. Both lives go on; a folder, a bucket and another logferry then have every record of both, and nothing
 * that stood there before was changed.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, cp, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { lakeObjects, lostAndRepeated, readLake } from "../support/lake.ts";
import { startLogferry, writeConfig, type Running } from "../support/logferry.ts";
import { freePort } from "../support/port.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw, type Versitygw } from "../support/versitygw.ts";

const lines = 2000;
const text = (name: string, from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `w=${name} n=${from + i} ${crypto.randomUUID()}\n`).join("");

let s3dir: Scratch;
let s3: Versitygw;
beforeAll(async () => {
  s3dir = await scratch();
  s3 = await startVersitygw(s3dir.join("s3"));
  await writeFile(s3dir.join("id"), s3.accessKey);
  await writeFile(s3dir.join("secret"), s3.secretKey);
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  await s3dir[Symbol.asyncDispose]();
});

/** Three far sides, and any number of logferrys that ship to them, each with a spool and a log of its own name. */
class Place implements AsyncDisposable {
  readonly dir: Scratch;
  readonly bucket: string;
  readonly #port: number;
  #central: Running | undefined;

  private constructor(dir: Scratch, bucket: string, port: number) {
    this.#port = port;
    this.dir = dir;
    this.bucket = bucket;
  }

  static async make(bucket: string): Promise<Place> {
    const place = new Place(await scratch(), bucket, await freePort());
    await mkdir(place.dir.join("central"));
    return place;
  }

  /** Brings the far sides up. */
  async open(): Promise<void> {
    await makeBucket(s3dir.join("s3"), this.bucket);
    await mkdir(this.dir.join("mount", "lake"), { recursive: true });
    const config = await writeConfig(this.dir.join("central"), {
      sources: { ingest: { type: "http", listen: `127.0.0.1:${this.#port}` } },
      sinks: { lake: { type: "directory", dir: this.dir.join("ingested"), batch: { bytes_max: "64KiB", age_max: "50ms" } } },
    });
    this.#central = startLogferry(config, this.dir.join("central", "control.sock"));
    await this.#central.ready();
  }

  spool(name: string): string {
    return this.dir.join(`${name}.spool`);
  }

  async write(name: string, from: number, to: number): Promise<void> {
    await appendFile(this.dir.join(`${name}.log`), text(name, from, to));
  }

  /** Starts the logferry `name`. */
  async start(name: string, ageMax = "50ms"): Promise<Running> {
    await appendFile(this.dir.join(`${name}.log`), "");
    const delivery = { batch: { bytes_max: "16KiB", age_max: ageMax }, retry: { min: "20ms", max: "100ms" } };
    const config = await writeConfig(
      this.dir.path,
      {
        control: { listen: "127.0.0.1:0", socket: this.dir.join(`${name}.sock`) },
        spool: { dir: this.spool(name) },
        sources: { app: { type: "file", include: [this.dir.join(`${name}.log`)] } },
        sinks: {
          lake: { type: "directory", dir: this.dir.join("mount", "lake"), ...delivery },
          bucket: {
            type: "s3",
            bucket: this.bucket,
            endpoint: s3.endpoint,
            path_style: true,
            access_key_id_file: s3dir.join("id"),
            secret_access_key_file: s3dir.join("secret"),
            ...delivery,
          },
          wire: { type: "http", url: `http://127.0.0.1:${this.#port}/v1/records`, ...delivery },
        },
      },
      `${name}.json`,
    );
    const running = startLogferry(config, this.dir.join(`${name}.sock`));
    await running.ready();
    return running;
  }

  /** Waits until `running` has read `count` lines since its start and delivered all it holds. */
  async settled(running: Running, count: number): Promise<void> {
    await until(async () => {
      const { sources, sinks } = await running.status();
      return (
        (sources["app"]?.records ?? 0) >= count && sources["app"]?.lag_bytes === 0 && Object.values(sinks).every((sink) => sink.lag_records === 0)
      );
    }, "everything is read and delivered");
  }

  folders(): string[] {
    return [this.dir.join("mount", "lake"), s3dir.join("s3", this.bucket)];
  }

  /** Every object in folder and bucket with its digest. */
  async digests(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const folder of this.folders()) {
      for (const path of await lakeObjects(folder))
        found.set(`${folder}/${path}`, new Bun.CryptoHasher("sha256").update(await readFile(`${folder}/${path}`)).digest("hex"));
    }
    return found;
  }

  async unchanged(before: ReadonlyMap<string, string>): Promise<void> {
    const now = await this.digests();
    expect([...before].filter(([path, digest]) => now.get(path) !== digest)).toEqual([]);
  }

  /** All lines of both lives are on every far side; how often some are there twice, per far side. */
  async complete(written: Record<string, number>): Promise<number[]> {
    await until(
      async () => Object.values((await this.#central!.status()).sinks).every((sink) => sink.lag_records === 0),
      "the central has delivered",
    );
    const repeats: number[] = [];
    for (const folder of [...this.folders(), this.dir.join("ingested")]) {
      const { lost, repeated, foreign } = lostAndRepeated(await readLake(folder), written);
      expect({ folder, lost, foreign }).toEqual({ folder, lost: 0, foreign: 0 });
      repeats.push(repeated);
    }
    return repeats;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#central?.[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

test("copied while it is in use, both on one machine: both go on, nothing is lost, nothing is written over", async () => {
  await using place = await Place.make("copied");
  await place.open();
  await using first = await place.start("one");
  await place.write("one", 0, lines);
  await until(async () => ((await first.status()).sinks["lake"]?.batches ?? 0) > 0, "it delivers");
  await cp(place.spool("one"), place.spool("two"), { recursive: true });
  const before = await place.digests();
  await using second = await place.start("two");
  for (let round = 1; round < 4; round++) {
    await place.write("one", round * lines, (round + 1) * lines);
    await place.write("two", (round - 1) * lines, round * lines);
    await place.settled(first, (round + 1) * lines);
    await place.settled(second, round * lines);
  }
  await place.unchanged(before);
  await place.complete({ one: 4 * lines, two: 3 * lines });
  // The receiver counts: whoever comes second is told, and says so.
  const faults = [(await first.status()).faults, (await second.status()).faults];
  expect(faults.some((counts) => (counts["spool_forked"] ?? 0) > 0)).toBe(true);
  for (const running of [first, second]) {
    expect((await running.health()).state).toBe("ok");
    expect(await running.stop()).toBe(0);
  }
}, 240_000);

test("rolled back to a snapshot: what came after it stays, what is read again comes under names of its own", async () => {
  await using place = await Place.make("rolled");
  await place.open();
  {
    await using running = await place.start("one");
    await place.write("one", 0, lines);
    await until(async () => ((await running.status()).sinks["bucket"]?.batches ?? 0) > 0, "it delivers");
    await cp(place.spool("one"), place.dir.join("snapshot"), { recursive: true });
    await place.write("one", lines, 2 * lines);
    await place.settled(running, 2 * lines);
    expect(await running.stop()).toBe(0);
  }
  const before = await place.digests();
  await rm(place.spool("one"), { recursive: true });
  await rename(place.dir.join("snapshot"), place.spool("one"));
  await using running = await place.start("one");
  await place.write("one", 2 * lines, 3 * lines);
  await place.settled(running, 1);
  await place.unchanged(before);
  await place.complete({ one: 3 * lines });
  expect(await running.stop()).toBe(0);
}, 240_000);

test("copied with plans that are not sent yet, and damaged there: what the other has brought is known by its digest, nothing is lost or comes twice", async () => {
  await using place = await Place.make("planned");
  {
    await using running = await place.start("one", "3s");
    // Three groups, so that a batch has three frames.
    for (let group = 0; group < 3; group++) {
      await place.write("one", group * 50, (group + 1) * 50);
      await until(async () => (await running.status()).spool.last_sequence === (group + 1) * 50 - 1, "they are in the spool");
    }
    const planned = async (): Promise<boolean> => {
      const names = (await readdir(`${place.spool("one")}/sinks`)).filter((name) => name.endsWith(".journal"));
      const journals = await Promise.all(names.map((name) => readFile(`${place.spool("one")}/sinks/${name}`, "utf8")));
      return journals.length === 3 && journals.every((journal) => journal.includes('"kind":"planned"'));
    };
    // There is no bucket and no central yet.
    await until(planned, "every sink has planned");
    await running.stop("SIGKILL");
  }
  await cp(place.spool("one"), place.spool("two"), { recursive: true });
  const [segment = ""] = await readdir(`${place.spool("two")}/segments`);
  const bytes = await readFile(`${place.spool("two")}/segments/${segment}`);
  let at = -1;
  for (let frame = 0; frame < 2; frame++) at = bytes.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), at + 1);
  bytes[at + 30] = (bytes[at + 30] ?? 0) ^ 0xff;
  await writeFile(`${place.spool("two")}/segments/${segment}`, bytes);

  await place.open();
  await using first = await place.start("one");
  await place.settled(first, 0);
  const before = await place.digests();
  await using second = await place.start("two");
  await place.write("two", 0, lines);
  await place.settled(second, lines);
  await place.unchanged(before);
  const { faults } = await second.status();
  expect(faults["spool_frame_corrupt"]).toBeGreaterThan(0);
  expect([faults["spool_forked"], faults["spool_records_lost"]]).toEqual([undefined, undefined]);
  expect(await place.complete({ one: 150, two: lines })).toEqual([0, 0, 0]);
  expect(await first.stop()).toBe(0);
  expect(await second.stop()).toBe(0);
}, 240_000);

test("carried to another machine: a new id, nothing lost, nothing written over", async () => {
  await using place = await Place.make("carried");
  await place.open();
  await using first = await place.start("one");
  await place.write("one", 0, lines);
  await until(async () => ((await first.status()).sinks["wire"]?.batches ?? 0) > 0, "it delivers");
  await cp(place.spool("one"), place.spool("two"), { recursive: true });
  const path = `${place.spool("two")}/spool.json`;
  const { crc: _, ...identity } = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...identity, machine_id: "f".repeat(32) }));
  const before = await place.digests();
  await using second = await place.start("two");
  await place.write("one", lines, 2 * lines);
  await place.write("two", 0, lines);
  await place.settled(first, 2 * lines);
  await place.settled(second, lines);
  await place.unchanged(before);
  await place.complete({ one: 2 * lines, two: lines });
  const [original, copy] = [await first.status(), await second.status()];
  expect(copy.spool_id).not.toBe(original.spool_id);
  expect(copy.faults["spool_copied"]).toBe(1);
  expect({ ...original.faults, ...copy.faults }["spool_forked"]).toBeUndefined();
  expect(await first.stop()).toBe(0);
  expect(await second.stop()).toBe(0);
}, 240_000);
