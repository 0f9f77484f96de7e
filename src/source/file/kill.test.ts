import { expect, test } from "bun:test";
import { join } from "node:path";
import { MemorySpool } from "../../../test/conformance/memory.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { startProcess } from "../../../test/support/process.ts";
import { scratch } from "../../../test/support/scratch.ts";
import { until } from "../../../test/support/until.ts";
import { file } from "./source.ts";

const writer = join(import.meta.dir, "..", "..", "..", "test", "support", "writer.ts");

test("a writer rotates by rename under load, we are killed twenty times: no line lost, none twice", async () => {
  await using dir = await scratch();
  await using writing = startProcess([process.execPath, writer, dir.path, "3600", "8000", "1500", "a", "b"]);
  const config = { type: "file", include: [dir.join("*.log*")], discover_interval: "100ms" };
  let spool = new MemorySpool(undefined, 30);
  for (let kill = 0; kill < 20; kill++) {
    const before = spool.lines.length;
    const running = await startSource(file, config, spool);
    await until(() => spool.lines.length > before, "it reads");
    // Any moment within the next looks, reads and commits.
    await Bun.sleep(Math.random() * 300);
    await running.kill();
    spool = new MemorySpool(spool, 30);
    await Bun.sleep(Math.random() * 300);
  }
  await using last = await startSource(file, config, spool);
  await writing.stop();
  const written = JSON.parse(writing.stdout()) as Record<string, number>;
  const total = Object.values(written).reduce((sum, lines) => sum + lines, 0);
  expect(total).toBeGreaterThan(10_000);
  await until(() => spool.lines.length >= total, "all has arrived");
  await last.stop();

  const seen = new Map<string, number>();
  for (const { text } of spool.lines) {
    const line = /^w=\w+ n=\d+ /.exec(text)?.[0] ?? text;
    seen.set(line, (seen.get(line) ?? 0) + 1);
  }
  const expected = Object.entries(written).flatMap(([name, lines]) => Array.from({ length: lines }, (_, n) => `w=${name} n=${n} `));
  const lost = expected.filter((line) => !seen.has(line));
  const repeated = [...seen].filter(([, times]) => times > 1);
  expect({ lost, repeated, foreign: seen.size - expected.length + lost.length }).toEqual({ lost: [], repeated: [], foreign: 0 });
}, 60_000);
