/**
 * One request after the other to records in the spool: the answers of the `http` source.
 *
 *     404 wrong path    405 wrong method    401 no or wrong token    403 a source this token may not bring
 *     503 not now (Retry-After): nothing was stored, but for `http_slow`     429 too many lanes
 *     415 unknown encoding, type or charset    413 too large, decoded    400 damaged, or a bad line (its number and why)
 *     409 a batch of another logferry that does not follow    204 the records are durable
 *
 * NDJSON is stored whole or not at all. Plain text never fails; a large one is stored in pieces, so a request that is cut by a
 * crash of the receiver may have left a part. Whoever sends again after no answer, a broken connection or `http_slow`, sends at
 * least once; another logferry (Logferry-Batch, lane.ts) exactly once.
 */
import type { Chunk, Emit, PositionDelta, SourceContext } from "../../core/contract.ts";
import type { Flow } from "../../core/flow.ts";
import { Fault } from "../../core/fault.ts";
import { spanTimeout } from "../../core/format.ts";
import { readBytes } from "../../core/limits.ts";
import { Changed } from "../../core/signals.ts";
import { later, refuse, tooLarge } from "./answer.ts";
import { checkDigest, decode, encodingOf, readBody } from "./body.ts";
import { Budget, type Lease } from "./budget.ts";
import type { HttpConfig } from "./config.ts";
import { contentOf, typeOf, type Content } from "./content.ts";
import { Lanes, parseBatch, parseExtent, parseSender } from "./lane.ts";
import { hasMoreLines, pieces } from "./pieces.ts";
import type { Sender, Tokens } from "./token.ts";

/** Below the 120 s after which the server closes a connection on which nothing moves. */
const durableMsMax = 100_000;

/**
 * NDJSON records of at most this many to a body byte: objects that are not ours get an envelope of 100 to 200 bytes, so that a body
 * of nothing but `{}` cannot grow beyond a few times its bound. Records of ours are longer than this by themselves.
 */
const recordBytesMin = 64;

export class Intake {
  readonly #config: HttpConfig;
  readonly #context: SourceContext;
  readonly #tokens: Tokens;
  readonly #budget: Budget;
  readonly #lanes: Lanes;
  readonly #path: string;
  #emit: Emit | undefined;
  #storing = 0;
  #bodies = 0;
  readonly #stored = new Changed();
  readonly #spoolClosed = Promise.withResolvers<void>();

  constructor(config: HttpConfig, context: SourceContext, tokens: Tokens) {
    this.#config = config;
    this.#context = context;
    this.#tokens = tokens;
    this.#budget = new Budget(config.body_bytes_max);
    this.#path = new URL(config.path, "http://localhost").pathname;
    this.#lanes = new Lanes(context.positions, () => context.doors.clock.now());
  }

  /** Takes records from here on; until then, and after `close`, requests are answered 503. */
  open(emit: Emit): void {
    this.#emit = emit;
  }

  close(): void {
    this.#emit = undefined;
  }

  /** Resolves once what was handed to `emit` is durable or rejected, and its answers are made; or when `kill` is aborted. */
  async settled(kill: AbortSignal): Promise<void> {
    while (this.#storing > 0 && !kill.aborted) await this.#stored.wait(kill);
  }

  /** Resolves when the spool was closed under it. */
  get spoolClosed(): Promise<void> {
    return this.#spoolClosed.promise;
  }

  /** Forgets lanes of senders long gone. */
  async expire(): Promise<void> {
    const position = this.#lanes.expire();
    if (position === undefined) return;
    await this.#emit?.({ bytes: new Uint8Array(0), form: "lines", readMs: this.#context.doors.clock.now(), position });
  }

  /** The answer to any request. Rejects only for a bug. */
  async answer(request: Request): Promise<Response> {
    const response = await this.#route(request);
    response.headers.set("Logferry-Receiver", this.#context.spoolId);
    return response;
  }

  async #route(request: Request): Promise<Response> {
    if (new URL(request.url).pathname !== this.#path) {
      return refuse({ status: 404, code: "http_not_found", error: "nothing is here", hint: `post records to ${this.#path}` });
    }
    if (request.method === "GET" || request.method === "HEAD") return this.#describe(request.method === "HEAD");
    if (request.method !== "POST" && request.method !== "OPTIONS") {
      const headers = { Allow: "POST, OPTIONS, GET, HEAD" };
      return refuse({ status: 405, code: "http_method_not_allowed", error: `${request.method} is not taken here`, hint: "post records", headers });
    }
    const sender = await this.#tokens.senderOf(request.headers.get("authorization"));
    if (sender === undefined) return refuseToken(request.headers.has("authorization"));
    const asked = request.method === "OPTIONS" ? parseSender(request.headers.get("logferry-held") ?? "") : undefined;
    if (asked !== undefined) return this.#lanes.heldOf(sender.name, asked);
    if (request.method === "OPTIONS") return new Response(null, { status: 204, headers: { Allow: "POST, OPTIONS, GET, HEAD" } });
    using lease = this.#budget.lease();
    return await this.#receive(request, sender, lease);
  }

  /** For whoever opens the URL in a browser, and for load balancers. */
  #describe(head: boolean): Response {
    const text = {
      service: "logferry http source",
      accepting: this.#emit !== undefined && this.#context.accepting(),
      post: "records as application/x-ndjson, application/json or text/plain, plain or with content-encoding zstd or gzip",
      body_bytes_max: this.#config.body_bytes_max,
    };
    return head ? new Response(null, { headers: { "Content-Type": "application/json" } }) : Response.json(text);
  }

  async #receive(request: Request, sender: Sender, lease: Lease): Promise<Response> {
    const { headers } = request;
    if (this.#emit === undefined) return notReady();
    if (!this.#context.accepting()) return later("http_not_accepting", "the spool takes nothing now: full, or its disk fails", 5);
    const encoding = encodingOf(headers);
    if (encoding instanceof Response) return encoding;
    const type = typeOf(headers.get("content-type"));
    if (type instanceof Response) return type;
    const header = headers.get("logferry-batch");
    const batch = header === null ? undefined : parseBatch(header);
    if (batch instanceof Response) return batch;
    const bytesMax = this.#config.body_bytes_max;
    const body = await readBody(request, bytesMax, lease);
    if (body instanceof Response) return body;
    const digest = await checkDigest(body, headers.get("logferry-digest"));
    if (digest instanceof Response) return digest;
    const decoded = await decode(body, encoding, bytesMax, lease, this.#context.doors.compress);
    if (decoded instanceof Response) return decoded;
    const content = contentOf(decoded, type);
    const linesMax = Math.max(1, Math.floor(bytesMax / recordBytesMin));
    if (content.form === "ndjson" && hasMoreLines(content.bytes, linesMax)) return tooLarge(`more than ${linesMax} records`, bytesMax);
    // A body may take its time: stopping does not wait for it.
    const emit = this.#emit;
    if (emit === undefined) return notReady();
    const store = (position?: PositionDelta): Promise<void> => this.#store(emit, content, sender, position);
    const taken = batch === undefined ? store().then(noContent) : this.#lanes.take(sender.name, batch, digest, store, parseExtent(headers, batch));
    this.#storing++;
    const answer = taken.catch((cause: unknown) => this.#refusalOf(cause, content));
    lease.holdFor(answer);
    const over = (): void => {
      this.#storing--;
      this.#stored.notify();
    };
    answer.then(over, over);
    return this.#inTime(answer);
  }

  async #store(emit: Emit, content: Content, { sources }: Sender, position: PositionDelta | undefined): Promise<void> {
    const { bytes, form } = content;
    const chunk = { form, readMs: this.#context.doors.clock.now(), ...(sources === undefined ? {} : { sources }) } satisfies Partial<Chunk>;
    if (position !== undefined) return emit({ ...chunk, bytes, position });
    if (form === "ndjson") return bytes.length === 0 ? undefined : emit({ ...chunk, bytes });
    const parts = pieces(bytes, readBytes);
    const spans = spanTimeout(this.#config) !== undefined;
    const key = `body ${this.#bodies++}`;
    let start = 0;
    const emitted = parts.map((piece, index) => {
      // A record of several lines may lie across two pieces, never across two bodies.
      const flow: Flow = { key, start, end: index === parts.length - 1, placeAt: () => undefined, cover: () => ({}) };
      start += piece.length;
      return emit({ ...chunk, bytes: piece, ...(spans ? { flow } : {}) });
    });
    await Promise.all(emitted);
  }

  /** What a rejected `emit` means to the sender; a bug is thrown on. */
  #refusalOf(cause: unknown, content: Content): Response {
    if (!(cause instanceof Fault)) throw cause;
    const { code, message, record = 1, hint = "" } = cause;
    const more = { line: record };
    const place = content.array ? "the elements of the array are counted as lines; " : "";
    if (code === "record_invalid")
      return refuse({ status: 400, code, error: message, hint: `nothing of the body was stored; ${place}${hint}`, more });
    if (code === "source_refused") return refuse({ status: 403, code, error: message, hint, more });
    if (code === "spool_closed") this.#spoolClosed.resolve();
    else this.#context.board.count(`sources.${this.#context.name}`, cause);
    return notReady();
  }

  /** The answer, or 503 when it takes so long that the connection would be closed. */
  async #inTime(answer: Promise<Response>): Promise<Response> {
    const over = new AbortController();
    try {
      return await Promise.race([answer, this.#context.doors.clock.sleep(durableMsMax, over.signal).then(slow)]);
    } finally {
      over.abort();
    }
  }
}

function slow(): Response {
  const error = `the records were not durable within ${durableMsMax / 1000} s`;
  const hint = "they may become durable yet: what is sent again may be stored twice; a logferry's batch is not";
  return refuse({ status: 503, code: "http_slow", error, hint, headers: { "Retry-After": "10" } });
}

function refuseToken(shown: boolean): Response {
  return refuse({
    status: 401,
    code: "http_token_refused",
    error: shown ? "this token is not known here" : "a token is needed",
    hint: "send Authorization: Bearer TOKEN, with a token that this source's configuration names",
    headers: { "WWW-Authenticate": "Bearer" },
  });
}

function notReady(): Response {
  return later("http_not_ready", "not taking records: starting or stopping", 1);
}

function noContent(): Response {
  return new Response(null, { status: 204 });
}
