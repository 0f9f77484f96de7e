/**
 * What a command has of the outside, so that it runs in a test without a process: output, environment, signals and the doors.
 *
 * Answers go to `stdout`, everything else (log, progress, faults) to `stderr`.
 */
import type { Doors } from "../core/doors.ts";
import type { Signals } from "../core/signals.ts";

export interface Io {
  /** Resolves when the text or bytes were taken: wait for it before producing more. Never rejects; a reader that is gone ends the process quietly. */
  stdout(data: string | Uint8Array): Promise<void>;
  /** Best effort: a reader that does not keep up loses lines instead of stopping the program. */
  stderr(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Which of the two is a terminal, and how wide. */
  readonly tty: { readonly stdout: boolean; readonly stderr: boolean; readonly columns: number };
  /**
   * From the first call on SIGTERM and SIGINT abort `stop`, the next one `kill`, and SIGHUP calls `onHangup`. A command that never
   * calls it is ended by signals as any program is.
   */
  signals(onHangup: () => void): Signals;
  readonly doors: Doors;
}
