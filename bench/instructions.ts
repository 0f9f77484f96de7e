/**
 * Instructions that the kernel needs for a byte of input, counted by valgrind: `bun bench/instructions.ts [KIND…]`.
 *
 * Unlike times, counts do not depend on what else the machine does, so a regression of a hundredth shows on a noisy one. Two
 * children encode the same 64 KiB, one more often than the other: what they differ by is the kernel with its copies, start-up
 * and compilation fall out. The runtime compiles on the main thread (BUN_JSC_useConcurrentJIT=0), so that compiled code is
 * reached at the same call each time. The whole encoder cannot be counted so: the collector, which goes by the clock, made
 * counts of it differ by a tenth. The kernel's differed by 0.8 % over four runs, on a machine with five times its load.
 *
 * Exit code 1 when a count is more than a tenth above the committed one. Those belong to x64 and to Bun 1.4.5: elsewhere the counts
 * are printed and held against nothing. A kind takes a minute or two.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { headOf, pack, tailOf } from "../src/pipeline/envelope.ts";
import { openKernel } from "../src/pipeline/kernel/kernel.ts";
import type { Run } from "../src/pipeline/loop.ts";
import type { KindName } from "./corpus/kind.ts";

/** The smaller number is enough for the optimizing compiler to have done its work. */
const callsFew = 200;
const callsMany = 4200;
const inputBytes = 64 * 1024;

/** What the kernel needed when this was last changed on purpose. */
const committed: Readonly<Record<KindName, number>> = { access: 5.0, json: 7.74, syslog: 6.63, long: 4.34, traces: 7.47 };
const comparable = process.arch === "x64" && Bun.version === "1.4.5";
const ratioMax = 1.1;

/** Instructions of a whole child that encodes the file `calls` times. Rejects with what valgrind says. */
async function count(path: string, calls: number): Promise<number> {
  const valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
  const child = Bun.spawn([...valgrind, process.execPath, import.meta.path, "--encode", path, `${calls}`], {
    env: { ...process.env, BUN_JSC_useConcurrentJIT: "0" },
    stdout: "ignore",
    stderr: "pipe",
  });
  const words = await new Response(child.stderr).text();
  const collected = /Collected : (\d+)/.exec(words)?.[1];
  if (collected === undefined) throw new Error(`valgrind counted nothing:\n${words}`);
  return Number(collected);
}

async function main(words: readonly string[]): Promise<void> {
  // Only here: the child shall load nothing but the kernel.
  const { chunksOf } = await import("./encoder.ts");
  const { kindNames } = await import("./corpus/kind.ts");
  if (Bun.which("valgrind") === null) throw new Error("valgrind is missing: apt-get install valgrind");
  const unknown = words.filter((word) => !kindNames.some((kind) => kind === word));
  if (unknown.length > 0) throw new Error(`no such kind: ${unknown.join(", ")}; there are ${kindNames.join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "logferry-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  for (const kind of kindNames.filter((one) => words.length === 0 || words.includes(one))) {
    const chunk = chunksOf(kind, 1)[0] as Buffer;
    const bytes = chunk.subarray(0, chunk.lastIndexOf(10, inputBytes - 1) + 1);
    const path = join(folder, kind);
    await Bun.write(path, bytes);
    const more = (await count(path, callsMany)) - (await count(path, callsFew));
    const each = more / ((callsMany - callsFew) * bytes.length);
    const against = comparable ? `, committed ${committed[kind].toFixed(2)}` : "";
    console.log(`${kind.padEnd(8)} ${each.toFixed(2)} instructions for a byte of input${against}`);
    if (comparable && each > committed[kind] * ratioMax) process.exitCode = 1;
  }
}

function encode(path: string, calls: number): void {
  const bytes = readFileSync(path);
  const encodeRun = openKernel()?.lines;
  if (encodeRun === undefined) throw new Error("this machine does not run the kernel");
  const fields = { source: "bench", host: "bench", labels: {} };
  const head = pack(headOf(fields, { readMs: 0, file: "/var/log/nginx/access.log", offset: 0 }));
  const tail = pack(tailOf(fields, { partial: false, truncated: false }, "message"));
  const out = new Uint8Array(4 * inputBytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const outView = new DataView(out.buffer);
  const to = bytes.length;
  const same = { bytes, view, from: 0, to, base: 123_456_789, head, tail, lineBytesMax: Infinity, skipEmpty: false, out, outView };
  const run: Run = { ...same, end: 0, records: 0, next: 0 };
  for (let call = 0; call < calls; call++) {
    run.end = 0;
    encodeRun(run);
  }
  if (run.next !== to) throw new Error("the records do not fit");
}

const [first = "", ...rest] = process.argv.slice(2);
if (first === "--encode") encode(rest[0] as string, Number(rest[1]));
else await main(process.argv.slice(2));
