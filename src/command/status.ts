/**
 * `logferry status`: one look at the running instance, through its control API.
 *
 * The Unix socket in the spool's directory is asked first, then `control.listen`. Exit codes: 0 an instance answered (whatever its
 * health), 1 none did, 2 configuration.
 */
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { withDeadline } from "../core/deadline.ts";
import { describe } from "../core/fault.ts";
import type { NetworkAnswer } from "../core/network.ts";
import { harmlessJson } from "../core/shown.ts";
import type { Health, Status } from "../core/view.ts";
import { loadOrTell } from "./config.ts";
import type { Io } from "./io.ts";
import { painter } from "./paint.ts";
import { statusText } from "./summary.ts";

export interface StatusOptions {
  config: string;
  json?: boolean;
  /** Files of each source: a number, or Infinity for all. */
  files?: number;
}

interface Door {
  /** As people name it. */
  readonly address: string;
  readonly url: string;
  readonly socket?: string;
}

/** An instance that needs longer to say how it is does not serve. */
const answerMsMax = 5_000;

/** A file is about 300 bytes, or 5 KiB with the longest of paths: this is for all of a hundred thousand. */
const answerBytesMax = 64 * 1024 * 1024;

export async function run(options: StatusOptions, io: Io): Promise<number> {
  const config = await loadOrTell(options.config, io);
  if (config === undefined) return 2;
  const tried: string[] = [];
  for (const door of doorsOf(config)) {
    const found = await look(door, options.files, io);
    if (typeof found === "string") {
      tried.push(`  ${door.address}: ${found}`);
      continue;
    }
    const { status, health } = found;
    await io.stdout(
      options.json === true
        ? `${harmlessJson(JSON.stringify({ ...status, reasons: health.reasons }, null, 2))}\n`
        : statusText(status, health, io.doors.clock.now(), painter(io, "stdout"), options.files),
    );
    return 0;
  }
  io.stderr(
    `no running instance answers:\n${tried.join("\n")}\nstart one with \`logferry run --config ${options.config}\`, or with \`systemctl start logferry\`\n`,
  );
  return 1;
}

function doorsOf(config: Config): Door[] {
  const socket = config.control.socket ?? join(config.spool.dir, "control.sock");
  const { host, port } = config.control.listen;
  // What listens everywhere also listens here.
  const near = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const address = `http://${near.includes(":") ? `[${near}]` : near}:${port}`;
  return [
    { address: socket, url: "http://localhost", socket },
    { address, url: address },
  ];
}

/** The instance's own words, or why there are none. */
async function look(door: Door, files: number | undefined, io: Io): Promise<{ status: Status; health: Health } | string> {
  try {
    if (door.socket !== undefined && (await io.doors.disk.stat(door.socket)) === undefined) return "there is no such socket";
    const query = files === undefined ? "" : `?files=${files === Number.POSITIVE_INFINITY ? "all" : files}`;
    const [status, health] = [await ask(door, `/status${query}`, io), await ask(door, "/health", io)];
    if (status.status !== 200) return `answers ${status.status} to GET /status`;
    const parsed = { status: JSON.parse(status.text) as Status, health: JSON.parse(health.text) as Health };
    const { sources, sinks, spool, version } = parsed.status;
    const ours = [sources, sinks, spool, version, parsed.health.reasons].every((part) => part !== undefined && part !== null);
    return ours ? parsed : "something answers that is not logferry";
  } catch (cause) {
    return cause instanceof SyntaxError ? "something answers that is not logferry" : describe(cause);
  }
}

function ask(door: Door, path: string, io: Io): Promise<NetworkAnswer> {
  const { url, socket } = door;
  return withDeadline(io.doors.clock, answerMsMax, new AbortController().signal, (signal) =>
    io.doors.network.request({
      url: `${url}${path}`,
      method: "GET",
      headers: {},
      signal,
      answerBytesMax,
      ...(socket === undefined ? {} : { socket }),
    }),
  );
}
