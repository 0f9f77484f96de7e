/** A real S3 server for a test: versitygw over a folder. `await using s3 = await startVersitygw(dir)` */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ensureVersitygw } from "../../tool/servers.ts";
import { freePort } from "./port.ts";
import { startProcess, type Started } from "./process.ts";
import { until } from "./until.ts";

export interface Versitygw extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`; the region is `us-east-1`, the addressing path style. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly process: Started;
  /** Ends it; the folder stays. A second call does nothing. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * Starts it over `dir` (made when missing; needs extended attributes). A folder in `dir` is a bucket, a file in that an object:
 * `mkdir dir/logs` makes the bucket `logs`. `port` lets a test bring it back at the same address after `stop`.
 */
export async function startVersitygw(dir: string, port?: number): Promise<Versitygw> {
  const executable = await ensureVersitygw();
  await mkdir(dir, { recursive: true });
  const accessKey = "test-access-key";
  const secretKey = "test-secret-key";
  // It cannot say which port it got, so one is asked for and let go just before.
  const address = `127.0.0.1:${port ?? (await freePort())}`;
  const server = startProcess([executable, "--port", address, "--health", "/health", "--quiet", "posix", dir], {
    cwd: dir,
    env: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
  });
  const endpoint = `http://${address}`;
  let ended = false;
  void server.exited.then(() => (ended = true));
  await until(async () => {
    if (ended) return "ended";
    return (await fetch(`${endpoint}/health`)).ok;
  }, `versitygw answers at ${endpoint}`);
  if (ended) throw new Error(`versitygw ended at once: ${server.stderr()}${server.stdout()}`);
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    if (!ended) await server.stop(signal);
  };
  return { endpoint, accessKey, secretKey, process: server, stop, [Symbol.asyncDispose]: () => stop("SIGKILL") };
}

/** A bucket made as the folder it is. */
export async function makeBucket(dir: string, name: string): Promise<void> {
  await mkdir(join(dir, name), { recursive: true });
}
