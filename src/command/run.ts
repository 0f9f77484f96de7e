/**
 * `logferry run [--once]`: the agent, until it is told to stop or (`--once`) until everything that was there is delivered.
 *
 * Its own log goes to stderr as configured. Exit codes: 0 drained, 1 fault, 2 configuration, 3 drain cut short.
 */
import type { AgentOptions, runAgent } from "../agent.ts";
import { Fault } from "../core/fault.ts";
import { createLog, type Log } from "../core/log.ts";
import { loadOrTell } from "./config.ts";
import { humanBytes, humanCount } from "./human.ts";
import type { Io } from "./io.ts";

export interface RunOptions {
  config: string;
  once?: boolean;
}

/** The agent; a test hands in its own. Rejects with a Fault when it cannot start. */
export type RunAgent = typeof runAgent;
type Progress = Parameters<NonNullable<AgentOptions["onProgress"]>>[0];

export async function run(options: RunOptions, io: Io, agent: RunAgent): Promise<number> {
  let log: Log | undefined;
  const signals = io.signals(() =>
    log?.warn("SIGHUP: reload is not in this version yet; restart to read the configuration again", { component: "agent" }),
  );
  const config = await loadOrTell(options.config, io);
  if (config === undefined) return 2;
  const once = options.once === true;
  const line = once && io.tty.stderr && io.env["TERM"] !== "dumb" ? new ProgressLine(io) : undefined;
  log = createLog(
    (text) => {
      line?.erase();
      io.stderr(`${text}\n`);
    },
    { ...config.log, now: () => io.doors.clock.now() },
  );
  try {
    const { exit } = await agent({
      config,
      once,
      signals,
      log,
      doors: io.doors,
      ...(line === undefined ? {} : { onProgress: (progress: Progress) => line.show(progress) }),
    });
    return exit;
  } catch (cause) {
    if (!(cause instanceof Fault)) throw cause;
    log.error(cause.message, { code: cause.code, hint: cause.hint });
    return 1;
  } finally {
    line?.end();
  }
}

/** Ten times a second is as smooth as people see, and costs nothing. */
const drawMsMin = 100;

/** One line on the terminal, drawn over itself. */
class ProgressLine {
  readonly #io: Io;
  #drawnMs = -Infinity;
  #last: Progress | undefined;

  constructor(io: Io) {
    this.#io = io;
  }

  show(progress: Progress): void {
    this.#last = progress;
    const now = this.#io.doors.clock.monotonic();
    if (now - this.#drawnMs < drawMsMin) return;
    this.#drawnMs = now;
    this.#draw(progress);
  }

  /** Makes room for a log line; the next `show` draws again. */
  erase(): void {
    if (this.#drawnMs >= 0) this.#io.stderr("\r\u001B[K");
    this.#drawnMs = -Infinity;
  }

  /** Leaves the last state standing. */
  end(): void {
    if (this.#last === undefined) return;
    this.#draw(this.#last);
    this.#io.stderr("\n");
  }

  #draw({ records_read, records_delivered, lag_bytes }: Progress): void {
    const text = `${humanCount(records_read)} records read, ${humanCount(records_delivered)} delivered, ${humanBytes(lag_bytes)} to go`;
    this.#io.stderr(`\r\u001B[K${text.slice(0, Math.max(1, this.#io.tty.columns - 1))}`);
  }
}
