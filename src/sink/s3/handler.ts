/**
 * The AWS SDK's way out, through the network door: its own HTTP client is not used.
 *
 * So the simulation can cut what S3 is asked, the environment's proxy settings hold as for every other call, and one HTTP
 * client serves the process. (Credential providers that ask the far side, such as instance metadata or STS, use the SDK's own.)
 */
import type { Network } from "../../core/network.ts";

/** What of the SDK's request is used here. */
interface SdkRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly method: string;
  readonly path: string;
  readonly query?: Record<string, string | string[] | null>;
  readonly headers: Record<string, string>;
  readonly body?: unknown;
}

/** The request could not be made or its answer not be read; `cause` has why. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** A page of a listing has at most a thousand keys of 1 KiB and as much around each; objects are read in pieces below this. */
const answerBytesMax = 16 * 2 ** 20;

/**
 * A request handler for the SDK. Answers are bounded, so their body is handed over as bytes; that of an object as a stream,
 * which is what the SDK asks for there. Rejects with `Unreachable` when no answer came.
 */
export function networkHandler(network: Network) {
  return {
    async handle(request: SdkRequest, options: { abortSignal?: unknown } = {}) {
      const signal = options.abortSignal instanceof AbortSignal ? options.abortSignal : new AbortController().signal;
      const body = bodyOf(request.body);
      const answer = await network
        .request({
          url: urlOf(request),
          method: request.method,
          headers: request.headers,
          signal,
          ...(body === undefined ? {} : { body }),
          ...(request.method === "GET" ? { binary: true, answerBytesMax } : {}),
        })
        .catch((cause: unknown) => {
          throw new Unreachable("no answer", { cause });
        });
      const bytes = answer.body ?? new TextEncoder().encode(answer.text);
      const object = answer.status < 300 && request.query?.["x-id"] === "GetObject";
      const response = {
        statusCode: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: object ? new Blob([bytes]).stream() : bytes,
      };
      return { response };
    },
    updateHttpClientConfig(): void {},
    httpHandlerConfigs: () => ({}),
  };
}

function urlOf(request: SdkRequest): string {
  const port = request.port === undefined ? "" : `:${request.port}`;
  const pairs = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
    value === null ? [encode(name)] : [value].flat().map((each) => `${encode(name)}=${encode(each)}`),
  );
  return `${request.protocol}//${request.hostname}${port}${request.path}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
}

/** RFC 3986, as the signature over the query has it: encodeURIComponent leaves five characters more. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function bodyOf(body: unknown): Uint8Array | undefined {
  if (body === undefined || body === null) return undefined;
  if (body instanceof Uint8Array) return body;
  if (typeof body === "string") return new TextEncoder().encode(body);
  throw new TypeError("the SDK sent a body that is neither bytes nor text");
}
