/**
 * Keeps what the runtime itself takes small while there is little to do.
 *
 * JavaScriptCore compiles what runs often, and keeps what it compiled. For a shipper that waits most of its life that is code
 * of the start and of looks once a second: 5 MB of pages of its compilers and 7 MB of code that hardly runs again. So, once
 * little has moved for a while, compiled code is dropped and the heap collected, and the engine is told to leave code to its
 * interpreter; when data flows, it compiles as it does for any program. Measured idle with an S3 sink: 82 MB before, 68 after.
 *
 * Nothing here changes what the program does, only how fast it does it for a moment.
 */

/** How much more often than usual code has to run before it is compiled (`compile.jitPolicy` in build.ts is the one for work). */
const policy = { working: 32, quiet: 1000 };
/** Less than this between two looks, a second apart, is little: the interpreter takes 30 MB/s, so a third of a percent of a core. */
const littleBytes = 128 * 1024;
/** Longer than a batch of the default size takes to arrive on a line that keeps the process busy. */
const quietMs = 5000;
/** What the page, a status or a rare batch left behind goes now and then: 15 ms of CPU each time. */
const againMs = 10 * 60_000;

/** The two handles on the engine that are needed; a test hands in its own. */
export interface Runtime {
  setJITPolicy(scale: number): void;
  shrink(): void;
}

const bun: Runtime = {
  setJITPolicy: (scale) => Bun.unsafe.setJITPolicy(scale),
  // Not Bun.gc: that keeps compiled code, and gives nothing back here.
  // oxlint-disable-next-line typescript/no-deprecated -- there is no other way to drop compiled code
  shrink: () => Bun.shrink(),
};

export class Engine {
  readonly #runtime: Runtime;
  #bytes = 0;
  #movedMs: number;
  #shrunkMs = Number.NEGATIVE_INFINITY;
  #quiet = false;

  constructor(nowMs: number, runtime: Runtime = bun) {
    this.#runtime = runtime;
    this.#movedMs = nowMs;
  }

  /** To be called about once a second. `bytes`: all that was read and delivered so far; `nowMs` on the monotonic clock. */
  look(bytes: number, nowMs: number): void {
    const little = Math.abs(bytes - this.#bytes) < littleBytes;
    this.#bytes = bytes;
    if (!little) {
      this.#movedMs = nowMs;
      if (this.#quiet) this.#runtime.setJITPolicy(policy.working);
      this.#quiet = false;
      return;
    }
    if (nowMs - this.#movedMs < quietMs || (this.#quiet && nowMs - this.#shrunkMs < againMs)) return;
    if (!this.#quiet) this.#runtime.setJITPolicy(policy.quiet);
    this.#quiet = true;
    this.#shrunkMs = nowMs;
    this.#runtime.shrink();
  }
}
