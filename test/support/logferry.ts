/** The real executable in a test: a configuration in a folder of its own, started, asked, killed. */
import { join } from "node:path";
import { ensureExecutable } from "../../build.ts";
import type { Health, Status } from "../../src/core/view.ts";
import { runProcess, startProcess, type Started } from "./process.ts";
import { until } from "./until.ts";

/** Its path, for a command line of a test's own. */
export const { path: executable } = await ensureExecutable();

/** Merged over what every test wants: control on any port, a spool in the test's folder, quick commits. */
export type TestConfig = Record<string, unknown> & { sources: Record<string, unknown>; sinks: Record<string, unknown> };

/** Writes `config` into `dir`; returns the file's path. */
export async function writeConfig(dir: string, config: TestConfig, name = "logferry.json"): Promise<string> {
  const path = join(dir, name);
  const { spool, ...rest } = config;
  const whole = {
    host: "test-host",
    control: { listen: "127.0.0.1:0", socket: join(dir, "control.sock") },
    spool: { dir: join(dir, "spool"), min_free_bytes: "1MiB", ...(spool as object | undefined) },
    ...rest,
  };
  await Bun.write(path, JSON.stringify(whole, null, 2));
  return path;
}

/** `logferry ARGUMENTS` to its end. */
export function logferry(args: readonly string[], options: Parameters<typeof runProcess>[1] = {}): ReturnType<typeof runProcess> {
  return runProcess([executable, ...args], options);
}

export interface Running extends Started {
  readonly configPath: string;
  status(): Promise<Status>;
  health(): Promise<Health>;
  /** Resolves once it answers that it is ready. */
  ready(): Promise<void>;
}

/** `logferry run` with a configuration already written. `socket` is its control socket. `before`: a command that runs the one behind it. */
export function startLogferry(configPath: string, socket: string, args: readonly string[] = [], before: readonly string[] = []): Running {
  const started = startProcess([...before, executable, "run", "--config", configPath, ...args]);
  const get = async (path: string): Promise<Response> => fetch(`http://localhost${path}`, { unix: socket });
  return {
    ...started,
    [Symbol.asyncDispose]: () => started[Symbol.asyncDispose](),
    configPath,
    status: async () => (await (await get("/status")).json()) as Status,
    health: async () => (await (await get("/health")).json()) as Health,
    ready: async () => {
      let ended: number | undefined;
      void started.exited.then((code) => (ended = code));
      await until(async () => ended !== undefined || (await get("/ready")).status === 200, "logferry is ready");
      if (ended !== undefined) throw new Error(`logferry ended with ${ended}: ${started.stderr()}`);
    },
  };
}
