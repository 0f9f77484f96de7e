/**
 * Stands for the SDK's own HTTP client in the executable (build.ts puts it there) and loads it at the first request. The S3 client
 * has a handler of ours and never makes one; credential providers that ask somebody (instance metadata, STS) do. Not loaded,
 * node:https and node:http2 save about 4 MB of resident memory.
 */
import type { NodeHttpHandler as Real } from "@smithy/node-http-handler";

export { streamCollector } from "@smithy/core/serde";

type Options = ConstructorParameters<typeof Real>[0];
type Handle = Real["handle"];

/** What of the SDK's class its clients use, with the same meaning. */
export class NodeHttpHandler {
  readonly metadata = { handlerProtocol: "http/1.1" };
  readonly #options: Options;
  #real: Promise<Real> | undefined;

  constructor(options?: Options) {
    this.#options = options;
  }

  static create(given?: unknown): unknown {
    return typeof given === "object" && given !== null && "handle" in given ? given : new NodeHttpHandler(given as Options);
  }

  async handle(...words: Parameters<Handle>): ReturnType<Handle> {
    this.#real ??= import("@smithy/node-http-handler").then((module) => new module.NodeHttpHandler(this.#options));
    return (await this.#real).handle(...words);
  }

  updateHttpClientConfig(): void {}

  httpHandlerConfigs(): object {
    return {};
  }

  destroy(): void {
    void this.#real?.then((real) => real.destroy());
  }
}
