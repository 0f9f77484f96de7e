/**
 * What a process costs: CPU seconds of all its threads, wall seconds, resident memory. The figures of a running process come from
 * /proc and so exist on Linux only; elsewhere they are NaN and print as a dash.
 */
import { closeSync, openSync, readFileSync, readdirSync } from "node:fs";

export interface Cost {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly rssPeakBytes: number;
}

export interface Spawned {
  readonly pid: number;
  readonly exited: Promise<Cost>;
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** How often the peak is looked at. The kernel keeps the high-water mark, so only a peak in a process's last moments is missed. */
const lookMs = 50;
const running = new Set<Bun.Subprocess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(130));

/** Ends `child` when this process ends. */
export function adopt<Child extends Bun.Subprocess>(child: Child): Child {
  running.add(child);
  void child.exited.then(() => running.delete(child));
  return child;
}

/** Runs `command`, its output to the file `log` (dropped without). `exited` rejects when the exit code is not 0. */
export function spawn(command: readonly string[], log?: string): Spawned {
  const output = log === undefined ? ("ignore" as const) : openSync(log, "a");
  const began = performance.now();
  const child = adopt(Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: output }));
  if (typeof output === "number") closeSync(output);
  return { pid: child.pid, exited: finish(child, command, began, log), kill: (signal) => child.kill(signal) };
}

async function finish(child: Bun.Subprocess, command: readonly string[], began: number, log: string | undefined): Promise<Cost> {
  let rssPeakBytes = Number.NaN;
  const look = (): void => {
    // Not resourceUsage().maxRSS: a child begins with its parent's peak there, since the kernel carries it over exec(2).
    const found = statusBytes(child.pid, "VmHWM");
    if (!Number.isNaN(found)) rssPeakBytes = found;
  };
  const timer = setInterval(look, lookMs);
  const code = await child.exited;
  const wallSeconds = (performance.now() - began) / 1000;
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command.join(" ")}: exit code ${code}${log === undefined ? "" : `\n${tail(log)}`}`);
  const usage = child.resourceUsage();
  return { cpuSeconds: Number(usage?.cpuTime.total ?? Number.NaN) / 1e6, wallSeconds, rssPeakBytes };
}

function tail(path: string): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-10).join("\n");
}

/** How often each of its threads has woken up so far, by thread. Empty when it cannot be known. */
export function wakeUps(pid: number): Map<string, number> {
  try {
    const of = (thread: string): number =>
      Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"))?.[1] ?? 0);
    return new Map(readdirSync(`/proc/${pid}/task`).map((thread) => [thread, of(thread)]));
  } catch {
    return new Map();
  }
}

/** Resident now, `RssAnon`, what of that is its own and not pages of files, or `VmHWM`, the most it ever was. NaN when it cannot be known. */
export function statusBytes(pid: number, field: "VmRSS" | "VmHWM" | "RssAnon" = "VmRSS"): number {
  try {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    return match === null ? Number.NaN : Number(match[1]) * 1024;
  } catch {
    return Number.NaN;
  }
}

/**
 * CPU seconds so far of a running process, in hundredths: 0.05 % of a core over 20 s. Not the sum of its threads' schedstat, finer
 * as that is: threads of the JIT and the collector end when they have nothing to do, and their time would vanish with them.
 */
export function cpuSeconds(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}

/** A command that goes on until it is ended: by `dispose`, first in peace and after 10 s by force. */
export interface Lasting extends AsyncDisposable {
  readonly pid: number;
  over(): boolean;
  /** The last lines it said. */
  tail(): string;
}

/** Starts `command`, its output to the file `log`. */
export function lasting(command: readonly string[], log: string): Lasting {
  const output = openSync(log, "a");
  const child = adopt(Bun.spawn([...command], { stdin: "ignore", stdout: output, stderr: output }));
  closeSync(output);
  return {
    pid: child.pid,
    over: () => child.exitCode !== null || child.signalCode !== null,
    tail: () => tail(log),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const force = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(force);
    },
  };
}
