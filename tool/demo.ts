/**
 * `npm run demo`: the main job on embedded defaults, from log files that rotate to a folder and, through HTTP, to a second instance.
 *
 * Promises: every line that was written is looked for at both ends by reading all that was delivered; the last line says what was
 * found and the exit code is 1 if anything is lost, repeated or altered. Children are ended on every path, Ctrl-C included.
 * `DEMO_SECONDS` (20) is how long the programs write; 0 means until Ctrl-C.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { ensureExecutable } from "../build.ts";
import { countFolder, type Count } from "./demo/count.ts";
import { Flow } from "./demo/flow.ts";
import type { Progress } from "./demo/generator.ts";
import { central, edge, freePorts, prepare, root } from "./demo/layout.ts";
import { endLeftovers } from "./demo/leftover.ts";
import { bold, dim, explainReading, green, grouped, introduce, red, say } from "./demo/screen.ts";
import { total } from "./demo/writing.ts";

async function run(seconds: number, interrupted: Promise<void>): Promise<boolean> {
  if (!existsSync(join(root, "dist", "logferry"))) say("building dist/logferry");
  const { path } = await ensureExecutable();
  mkdirSync(join(root, ".cache"), { recursive: true });
  await endLeftovers();
  const ports = freePorts();
  prepare(ports);
  using flow = new Flow(path, ports);
  process.on("exit", () => flow[Symbol.dispose]());
  await flow.ready();
  introduce(ports, seconds);
  const over = seconds === 0 ? [] : [Bun.sleep(seconds * 1000)];
  const { written, writingMs } = await flow.write(Promise.race([interrupted, ...over]));
  const { codes, drainMs } = await flow.drain();
  const size = `${grouped(total(written))} lines, ${grouped(written.bytes)} bytes, ${written.rotations} rotations`;
  say(`\n${dim(`wrote for ${(writingMs / 1000).toFixed(1)} s: ${size}; drained in ${(drainMs / 1000).toFixed(1)} s`)}`);
  const cut = [edge, central].filter((side) => codes[side.name] !== 0);
  for (const side of cut) say(red(`the ${side.name} instance ended with exit code ${codes[side.name]}: see ${side.log}`));
  const same = compare(written, await countFolder(edge.lake, written), await countFolder(central.lake, written));
  return same && cut.length === 0;
}

/** Prints the comparison; true when both ends hold every line once and as it was written. */
function compare(written: Progress, folder: Count, http: Count): boolean {
  const size = (count: Count): string => `${count.objects} objects, ${grouped(count.bytes)} bytes`;
  say(dim(`read everything that was delivered: folder ${size(folder)}; through HTTP ${size(http)}`));
  explainReading();
  const [lost, repeated, altered] = [folder.lost + http.lost, folder.repeated + http.repeated, folder.altered + http.altered];
  const whole = lost + repeated + altered === 0;
  const parts = [
    `written ${total(written)}`,
    `delivered to directory ${folder.records}`,
    `delivered through HTTP ${http.records}`,
    `lost ${lost}`,
    `repeated ${repeated}`,
    ...(altered > 0 ? [`altered ${altered}`] : []),
  ];
  say(`\n${whole ? green("✔") : red("✘")} ${bold(parts.join(" · "))}`);
  return whole;
}

/** Resolves at the first Ctrl-C, SIGTERM or SIGHUP; the second one ends everything at once. */
function interruption(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      resolve();
      if (++count > 1) process.exit(1);
    });
  }
  return promise;
}

async function main(): Promise<number> {
  const given = process.env["DEMO_SECONDS"] ?? "";
  const seconds = given === "" ? 20 : Number(given);
  if (!Number.isFinite(seconds) || seconds < 0) {
    console.error("logferry demo: DEMO_SECONDS must be a number of seconds; 0 means until Ctrl-C");
    return 2;
  }
  try {
    return (await run(seconds, interruption())) ? 0 : 1;
  } catch (cause) {
    console.error(red(`\nlogferry demo: ${cause instanceof Error ? cause.message : String(cause)}`));
    return 1;
  }
}

process.exit(await main());
