/** A command's outside for tests: output gathered, signals at hand, the real doors. */
import type { Io } from "../../src/command/io.ts";
import { systemDoors } from "../../src/core/doors.ts";

export interface TestIo extends Io {
  /** What was written so far. */
  out(): string;
  err(): string;
  /** What SIGTERM, a second one, and SIGHUP do. */
  stop(): void;
  kill(): void;
  hangup(): void;
}

export function testIo(options: Partial<Pick<Io, "env" | "tty" | "doors">> = {}): TestIo {
  const out: Uint8Array[] = [];
  const err: string[] = [];
  const stop = new AbortController();
  const kill = new AbortController();
  let hangup = (): void => {};
  return {
    stdout: async (data) => void out.push(Buffer.from(data)),
    stderr: (text) => void err.push(text),
    env: {},
    tty: { stdout: false, stderr: false, columns: 100 },
    doors: systemDoors,
    ...options,
    signals: (onHangup) => {
      hangup = onHangup;
      return { stop: stop.signal, kill: kill.signal };
    },
    out: () => Buffer.concat(out).toString("utf8"),
    err: () => err.join(""),
    stop: () => stop.abort(),
    kill: () => kill.abort(),
    hangup: () => hangup(),
  };
}
