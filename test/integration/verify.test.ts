/** `logferry verify` on the real executable: a folder and a bucket as delivered, and with each thing wrong that it is there to find. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { appendFile, cp, readdir, rename, rm, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { lakeObjects } from "../support/lake.ts";
import { logferry, startLogferry, writeConfig } from "../support/logferry.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { makeBucket, startVersitygw, type Versitygw } from "../support/versitygw.ts";

const lines = 400;
const batch = { bytes_max: "4KiB", age_max: "100ms" };
const text = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, i) => `w=app n=${from + i} ${crypto.randomUUID()} ${crypto.randomUUID()}\n`).join("");

interface Answer {
  sinks: Record<
    string,
    { objects: number; compared: number; records: number; older: number; spool_records: number; findings: { what: string; object: string }[] }
  >;
}

let dir: Scratch;
let s3: Versitygw;
beforeAll(async () => {
  dir = await scratch();
  s3 = await startVersitygw(dir.join("s3"));
  await makeBucket(dir.join("s3"), "logs");
  await writeFile(dir.join("id"), s3.accessKey);
  await writeFile(dir.join("secret"), s3.secretKey);
});
afterAll(async () => {
  await s3[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

/** A spool whose two sinks have delivered some objects each; `lake` is a folder, `bucket` lies below `name/`. */
async function delivered(name: string): Promise<{ config: string; lake: string; bucket: string; log: string; home: Scratch }> {
  const home = await scratch();
  const log = home.join("app.log");
  await writeFile(log, text(0, lines));
  const config = await writeConfig(home.path, {
    spool: { retain: "1h" },
    sources: { app: { type: "file", include: [log] } },
    sinks: {
      lake: { type: "directory", dir: home.join("lake"), batch },
      bucket: {
        type: "s3",
        bucket: "logs",
        prefix: `${name}/`,
        endpoint: s3.endpoint,
        path_style: true,
        access_key_id_file: dir.join("id"),
        secret_access_key_file: dir.join("secret"),
        batch,
      },
    },
  });
  for (let round = 0; round < 4; round++) {
    if (round > 0) await appendFile(log, text(round * lines, (round + 1) * lines));
    expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  }
  return { config, lake: home.join("lake"), bucket: dir.join("s3", "logs", name), log, home };
}

async function verify(config: string, ...more: string[]): Promise<{ code: number; sinks: Answer["sinks"] }> {
  const { code, stdout } = await logferry(["verify", "--config", config, "--json", ...more]);
  return { code, sinks: (JSON.parse(stdout) as Answer).sinks };
}

const differences = (sinks: Answer["sinks"], name: string): string[] => (sinks[name]?.findings ?? []).map(({ what }) => what);

test("as delivered all agrees, and the last line says what was compared", async () => {
  const { config, lake, home } = await delivered("fine");
  await using _ = home;
  const { code, stdout } = await logferry(["verify", "--config", config, "--deep"]);
  expect(code).toBe(0);
  const objects = (await lakeObjects(lake)).length;
  expect(objects).toBeGreaterThan(3);
  for (const name of ["lake", "bucket"])
    expect(stdout).toMatch(
      new RegExp(
        `^${name}: all agrees: ${objects} objects \\(.* KiB\\) listed, ${objects} of them compared with the journal \\(1,600 records\\)`,
        "m",
      ),
    );
  expect((await verify(config)).sinks["lake"]).toMatchObject({
    objects,
    compared: objects,
    records: 4 * lines,
    older: 0,
    spool_records: 4 * lines,
    findings: [],
  });
}, 120_000);

test("what is missing, cut, changed, put there or copied is found, in the folder and in the bucket", async () => {
  const { config, lake, bucket, home } = await delivered("wrong");
  await using _ = home;
  for (const [name, place] of [
    ["lake", lake],
    ["bucket", bucket],
  ] as const) {
    const paths = (await lakeObjects(place)).map((path) => join(place, path));
    const [first = "", second = "", third = ""] = paths;
    await cp(first, `${first}.kept`);
    await rm(first);
    const gone = await verify(config, "--sink", name);
    expect(gone.code).toBe(1);
    expect(differences(gone.sinks, name).toSorted()).toEqual(["gap", "missing"]);
    await rename(`${first}.kept`, first);

    await cp(second, dir.join("kept"));
    await truncate(second, 100);
    expect(differences((await verify(config, "--sink", name)).sinks, name)).toEqual(["wrong_size"]);
    await cp(dir.join("kept"), second);

    // Of another epoch: what a copy of the spool would write.
    const extra = third.replace(/-[0-9a-f]{8}-(\d{20}-)/, "-0badcafe-$1");
    await cp(third, extra);
    expect(differences((await verify(config, "--sink", name)).sinks, name).toSorted()).toEqual(["extra", "overlap"]);
    await rm(extra);
    // Names of other spools are none of its business.
    await cp(third, join(dirname(third), `other-0123456789abcdef-0badcafe-${"0".repeat(20)}-${"9".repeat(10).padStart(20, "0")}.ndjson.zst`));
    expect((await verify(config, "--sink", name)).code).toBe(0);
  }
  const first = (await lakeObjects(lake)).find((path) => path.includes("test-host")) ?? "";
  const bytes = Buffer.from(await Bun.file(join(lake, first)).arrayBuffer());
  bytes[40] = (bytes[40] ?? 0) ^ 0xff;
  await writeFile(join(lake, first), bytes);
  expect((await verify(config)).code).toBe(0);
  const deep = await verify(config, "--deep");
  expect({ code: deep.code, found: differences(deep.sinks, "lake") }).toEqual({ code: 1, found: ["wrong_content"] });
}, 120_000);

test("beside a running instance nothing is taken for extra or missing, and nothing is written", async () => {
  const { config, log, home } = await delivered("beside");
  await using _ = home;
  await using running = startLogferry(config, home.join("control.sock"));
  await running.ready();
  for (let round = 4; round < 12; round++) {
    await appendFile(log, text(round * lines, (round + 1) * lines));
    const { code, sinks } = await verify(config);
    expect({ code, lake: differences(sinks, "lake"), bucket: differences(sinks, "bucket") }).toEqual({ code: 0, lake: [], bucket: [] });
  }
  await until(
    async () => Object.values((await running.status()).sinks).every((sink) => sink.delivered_sequence === 12 * lines - 1),
    "all is delivered",
  );
  expect(await running.stop()).toBe(0);
  const before = (await readdir(home.join("spool"), { recursive: true })).toSorted();
  expect((await verify(config)).sinks["lake"]?.records).toBe(12 * lines);
  expect((await readdir(home.join("spool"), { recursive: true })).toSorted()).toEqual(before);
}, 120_000);

test("after a lost journal was made anew all agrees; while it is lost, it is said", async () => {
  const { config, log, home } = await delivered("rebuilt");
  await using _ = home;
  for (const name of ["lake", "bucket"]) await rm(home.join("spool", "sinks", `${name}.journal`));
  const lost = await logferry(["verify", "--config", config]);
  expect({ code: lost.code, said: lost.stdout.includes("journal_lost") }).toEqual({ code: 1, said: true });
  await appendFile(log, text(4 * lines, 5 * lines));
  expect((await logferry(["run", "--once", "--config", config])).code).toBe(0);
  const { code, sinks } = await verify(config, "--deep");
  expect(code).toBe(0);
  for (const name of ["lake", "bucket"]) expect(sinks[name]).toMatchObject({ records: 5 * lines, older: 0, findings: [] });
}, 120_000);

test("a sink that is not there, one that cannot be reached, and one that keeps no objects", async () => {
  const { config, home } = await delivered("away");
  await using _ = home;
  const unknown = await logferry(["verify", "--config", config, "--sink", "nobody"]);
  expect({ code: unknown.code, said: unknown.stderr.includes("lake, bucket") }).toEqual({ code: 2, said: true });
  await rename(home.join("lake"), home.join("away"));
  const away = await logferry(["verify", "--config", config, "--sink", "lake"]);
  expect({ code: away.code, said: away.stdout.includes("directory_missing") }).toEqual({ code: 1, said: true });
  const value = JSON.parse(await Bun.file(config).text()) as { sinks: Record<string, unknown> };
  value.sinks = { wire: { type: "http", url: "http://127.0.0.1:9/v1/records" } };
  await writeFile(config, JSON.stringify(value));
  const wire = await logferry(["verify", "--config", config]);
  expect({ code: wire.code, said: wire.stdout.includes("wire: left out") }).toEqual({ code: 0, said: true });
}, 120_000);
