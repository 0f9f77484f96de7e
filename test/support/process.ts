/** Real processes for tests: their output gathered, ended with the test. `await using logferry = startProcess([...])` */

export interface Started extends AsyncDisposable {
  readonly pid: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Its exit code; 128 + signal number when a signal ended it. Everything it wrote has arrived by then. */
  readonly exited: Promise<number>;
  kill(signal?: NodeJS.Signals): void;
  /** Sends `signal` (SIGTERM) and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number>;
}

export interface StartOptions {
  cwd?: string;
  /** Added to this process's environment; undefined takes a variable out. */
  env?: Record<string, string | undefined>;
  /** Written to its standard input, which is then closed; without it there is no input. */
  stdin?: string | Uint8Array;
}

/** Starts `command` (a path and its arguments, no shell). */
export function startProcess(command: readonly string[], options: StartOptions = {}): Started {
  const { stdin } = options;
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...options.env },
    stdin: stdin === undefined ? "ignore" : typeof stdin === "string" ? Buffer.from(stdin) : stdin,
    stdout: "pipe",
    stderr: "pipe",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: string[] = [];
  const err: string[] = [];
  const exited = Promise.all([gather(child.stdout, out), gather(child.stderr, err), child.exited]).then(([, , code]) => code);
  const stop = (signal: NodeJS.Signals = "SIGTERM"): Promise<number> => {
    child.kill(signal);
    return exited;
  };
  return {
    pid: child.pid,
    stdout: () => out.join(""),
    stderr: () => err.join(""),
    exited,
    kill: (signal = "SIGTERM") => child.kill(signal),
    stop,
    async [Symbol.asyncDispose]() {
      await stop("SIGKILL");
    },
  };
}

/** Runs `command` to its end. */
export async function runProcess(command: readonly string[], options: StartOptions = {}): Promise<{ code: number; stdout: string; stderr: string }> {
  await using started = startProcess(command, options);
  const code = await started.exited;
  return { code, stdout: started.stdout(), stderr: started.stderr() };
}

async function gather(stream: ReadableStream<Uint8Array>, into: string[]): Promise<void> {
  const decoder = new TextDecoder();
  for await (const part of stream) into.push(decoder.decode(part, { stream: true }));
}
