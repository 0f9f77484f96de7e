/** The demo's processes together: the central, the edge, the generator; started in this order, drained against it. */
import type { Progress } from "./generator.ts";
import { Instance } from "./instance.ts";
import { central, edge, home, type Ports } from "./layout.ts";
import { remember } from "./leftover.ts";
import { show } from "./screen.ts";
import { Generator, total } from "./writing.ts";

const lookMs = 250;
const standstillMsMax = 10_000;

export class Flow implements Disposable {
  readonly #edge: Instance;
  readonly #central: Instance;
  #generator: Generator | undefined;
  #beganMs = 0;
  readonly #seen = { durable: 0, toFolder: 0, atCentral: 0 };

  constructor(executable: string, ports: Ports) {
    this.#central = new Instance(executable, central, ports.central);
    this.#edge = new Instance(executable, edge, ports.edge);
    const children = [this.#central, this.#edge].map(({ pid }) => ({ pid, mark: home }));
    remember([{ pid: process.pid, mark: "demo.ts" }, ...children]);
  }

  async ready(): Promise<void> {
    await Promise.all([this.#central.ready(), this.#edge.ready()]);
  }

  /** Lets the generator write until `end`. Rejects when a process ends by itself. */
  async write(end: Promise<unknown>): Promise<{ written: Progress; writingMs: number }> {
    this.#beganMs = performance.now();
    const generator = new Generator();
    this.#generator = generator;
    await this.#during(Promise.race([end, this.#edge.exited, this.#central.exited, generator.exited]));
    for (const instance of [this.#edge, this.#central]) {
      if (!instance.running) throw new Error(await instance.ending());
    }
    const written = await generator.stop();
    const writingMs = performance.now() - this.#beganMs;
    await this.#during(this.#caughtUp(total(written)));
    return { written, writingMs };
  }

  /**
   * Resolves when the edge has read all that was written: asked to stop, it reads no further and goes on there at its next start,
   * and the demo has none. Gives up when nothing moves; then the count says what is missing.
   */
  async #caughtUp(lines: number): Promise<void> {
    let [best, movedMs] = [-1, performance.now()];
    while (this.#seen.durable < lines && this.#edge.running && performance.now() - movedMs < standstillMsMax) {
      if (this.#seen.durable > best) [best, movedMs] = [this.#seen.durable, performance.now()];
      await Bun.sleep(lookMs / 5);
    }
  }

  /** The edge first: what it still holds goes through the central, which has to be there until the last of it. */
  async drain(): Promise<{ codes: Record<"edge" | "central", number>; drainMs: number }> {
    const began = performance.now();
    const codes = { edge: await this.#during(this.#edge.drain()), central: await this.#during(this.#central.drain()) };
    return { codes, drainMs: performance.now() - began };
  }

  [Symbol.dispose](): void {
    for (const child of [this.#generator, this.#edge, this.#central]) child?.kill();
  }

  /** Shows the progress until `work` settles, and settles as it does. */
  async #during<T>(work: Promise<T>): Promise<T> {
    const state = { over: false };
    const settled = work.then(
      () => (state.over = true),
      () => (state.over = true),
    );
    while (!state.over) {
      await this.#look();
      await Promise.race([settled, Bun.sleep(lookMs)]);
    }
    return work;
  }

  async #look(): Promise<void> {
    const seen = this.#seen;
    const [here, there] = await Promise.all([this.#edge.status(), this.#central.status()]);
    // What an instance said last still holds when it does not answer any more.
    if (here !== undefined) seen.durable = Object.values(here.sources).reduce((sum, source) => sum + source.records, 0);
    seen.toFolder = here?.sinks["lake"]?.records ?? seen.toFolder;
    seen.atCentral = there?.sinks["lake"]?.records ?? seen.atCentral;
    show({ seconds: (performance.now() - this.#beganMs) / 1000, written: this.#generator?.lines ?? 0, ...seen });
  }
}
