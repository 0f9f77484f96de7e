#!/usr/bin/env bun
/**
 * The way in: argv to a command to an exit code. The only file that touches signals, process.exit and the standard streams.
 *
 * Exit codes: 0 fine, 1 fault, 2 usage or configuration, 3 drain cut short, 70 a bug.
 */
import { runAgent } from "./agent.ts";
import type { Io } from "./command/io.ts";
import { runProgram } from "./command/program.ts";
import { systemDoors } from "./core/doors.ts";
import { describe, errnoOf } from "./core/fault.ts";
import type { Signals } from "./core/signals.ts";
import { commit, version } from "./core/version.ts";

/** What may wait for a reader of stderr that does not keep up; beyond it lines are left out, so that a stuck journal stops nothing. */
const stderrBytesMax = 1024 * 1024;

const io: Io = {
  stdout: writeOut,
  stderr: (text) => {
    if (process.stderr.writableLength < stderrBytesMax) process.stderr.write(text);
  },
  env: process.env,
  tty: { stdout: process.stdout.isTTY, stderr: process.stderr.isTTY, columns: (process.stdout.columns ?? process.stderr.columns ?? 0) || 100 },
  signals: catchSignals,
  doors: systemDoors,
};

process.on("uncaughtException", endAsBug);
process.on("unhandledRejection", endAsBug);
process.stdout.on("error", endUnread);
// Nobody reads the log any more; shipping goes on.
process.stderr.on("error", () => {});

try {
  await end(await runProgram(process.argv.slice(2), io, runAgent));
} catch (cause) {
  endAsBug(cause);
}

function writeOut(data: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(data, (cause) => (cause === null || cause === undefined ? resolve() : endUnread(cause)));
  });
}

/** Standard output takes no more. */
function endUnread(cause: Error): void {
  // `logferry spool cat | head` has seen enough: that is no fault.
  if (errnoOf(cause) === "EPIPE") process.exit(0);
  process.stderr.write(`logferry: write to standard output: ${describe(cause)}\n`, () => process.exit(1));
}

/** Everything written has left the process before it ends. */
async function end(exit: number): Promise<void> {
  await writeOut("");
  await new Promise<void>((resolve) => void process.stderr.write("", () => resolve()));
  process.exit(exit);
}

function catchSignals(onHangup: () => void): Signals {
  const stop = new AbortController();
  const kill = new AbortController();
  const onSignal = (): void => (stop.signal.aborted ? kill : stop).abort();
  process.on("SIGTERM", onSignal);
  process.on("SIGINT", onSignal);
  process.on("SIGHUP", onHangup);
  return { stop: stop.signal, kill: kill.signal };
}

function endAsBug(cause: unknown): void {
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  process.stderr.write(`logferry ${version} (${commit}): this is a bug, please report it with the lines below\n${text}\n`, () => process.exit(70));
}
