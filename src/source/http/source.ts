/**
 * The `http` source: records that programs and other logferries post.
 *
 * It listens from `open` on, so that an address in use ends the start with a reason, and takes records while it runs. On `stop`
 * it answers 503, also to bodies that are not there whole, waits until what was handed on is durable and answered, then closes.
 * With `--once` there is nothing to read: it returns at once.
 */
import type { Emit, Source, SourceContext, SourceKind, SourceStatus } from "../../core/contract.ts";
import type { Server } from "../../core/network.ts";
import { openSecret } from "../../core/secret.ts";
import { orAborted, type Signals } from "../../core/signals.ts";
import { check } from "./check.ts";
import { schema, type HttpConfig } from "./config.ts";
import { listenFailed } from "./fault.ts";
import { Intake } from "./intake.ts";
import { Tokens } from "./token.ts";

export const http: SourceKind<HttpConfig> = {
  type: "http",
  schema,
  open: (config, context) => openHttp(config, context),
  check,
};

/** How often lanes of senders long gone are looked for. */
const expireMs = 24 * 60 * 60 * 1000;
/** For answers on their way out, when all that was stored is answered; connections that wait for nothing are cut then. */
const closeMs = 100;

/**
 * Listens. Rejects with Fault `http_listen_failed` (never) when the address cannot be had, `secret_unreadable` (denied) when a
 * token, certificate or key cannot be read.
 */
async function openHttp(config: HttpConfig, context: SourceContext): Promise<Source> {
  const component = `sources.${context.name}`;
  const tokens = new Tokens(config, context.doors.disk, context.board, component);
  if (!context.once) await tokens.readAll();
  const source = new HttpSource(config, context, tokens);
  if (!context.once) await source.listen();
  if (tokens.open && !isLoopback(config.listen.host)) {
    context.log.warn("anybody who reaches this address may send records", {
      component,
      listen: source.address,
      hint: "set bearer_token_file or tokens",
    });
  }
  return source;
}

class HttpSource implements Source {
  readonly #config: HttpConfig;
  readonly #context: SourceContext;
  readonly #intake: Intake;
  #server: Server | undefined;
  #state: SourceStatus["state"] = "starting";
  readonly #broken = Promise.withResolvers<never>();

  constructor(config: HttpConfig, context: SourceContext, tokens: Tokens) {
    this.#config = config;
    this.#context = context;
    this.#intake = new Intake(config, context, tokens);
    this.#broken.promise.catch(() => {}); // whoever runs it sees it
  }

  get address(): string {
    return `${this.#server?.address ?? ""}${this.#config.path}`;
  }

  async listen(): Promise<void> {
    const { listen, tls, body_bytes_max } = this.#config;
    const { disk, network } = this.#context.doors;
    const secrets = tls && { cert: await openSecret(disk, tls.cert_file).read(), key: await openSecret(disk, tls.key_file).read() };
    try {
      this.#server = network.serve({
        listen,
        ...(secrets === undefined ? {} : { tls: secrets }),
        handle: (request) => this.#handle(request),
        // A larger one is refused here too, with words.
        bodyBytesMax: 2 * body_bytes_max + 1024 * 1024,
      });
    } catch (cause) {
      throw listenFailed(listen, cause);
    }
  }

  async run(emit: Emit, { stop, kill }: Signals): Promise<void> {
    if (this.#context.once) {
      this.#state = "done";
      this.#context.log.info("an http source has nothing to read with --once", { component: `sources.${this.#context.name}` });
      return;
    }
    this.#intake.open(emit);
    this.#state = "running";
    try {
      await Promise.race([this.#serve(stop, kill), this.#intake.spoolClosed, this.#broken.promise]);
      this.#state = "done";
    } finally {
      if (this.#state !== "done") this.#state = "failed";
      this.#intake.close();
      await this.#close(kill.aborted ? 0 : closeMs);
    }
  }

  async #serve(stop: AbortSignal, kill: AbortSignal): Promise<void> {
    while (!stop.aborted && !kill.aborted) {
      await orAborted(this.#intake.expire(), stop, kill);
      await this.#context.doors.clock.sleep(expireMs, stop, kill);
    }
    this.#intake.close();
    await this.#intake.settled(kill);
  }

  async #handle(request: Request): Promise<Response> {
    try {
      return await this.#intake.answer(request);
    } catch (cause) {
      this.#broken.reject(cause);
      return new Response(null, { status: 500 });
    }
  }

  async #close(graceMs: number): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close(graceMs);
  }

  status(): SourceStatus {
    return { state: this.#state, ...(this.#server === undefined ? {} : { listen: this.address }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close(0);
  }
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
