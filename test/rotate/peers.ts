/**
 * Other collectors for the rotation harness, each with the settings that lose least: rsyslog and syslog-ng write what they read to a file,
 * which is counted as it grows; Fluent Bit and Vector keep it on disk and ship it by HTTP.
 *
 * Each takes part when it is there: an executable named by RSYSLOG, SYSLOG_NG, FLUENT_BIT or VECTOR, the first two also on the PATH (Debian: rsyslog,
 * syslog-ng-core). RSYSLOG_MODULES names the folder of rsyslog's modules where it is not the built-in one.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { basename, dirname, join } from "node:path";
import type { Collector, Setup } from "./collector.ts";
import type { Counter } from "./counter.ts";

export interface Peer {
  readonly name: string;
  open(setup: Setup): Promise<Collector>;
}

const readBytes = 1 << 20;

/** What a collector appends to a file, counted line by line. */
class Output {
  readonly path: string;
  readonly #counter: Counter;
  #at = 0;
  #rest = "";

  constructor(path: string, counter: Counter) {
    this.path = path;
    this.#counter = counter;
    writeFileSync(path, "");
  }

  async look(): Promise<void> {
    await using file = await open(this.path, "r");
    const buffer = Buffer.alloc(readBytes);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, readBytes, this.#at);
      if (bytesRead === 0) return;
      const text = this.#rest + buffer.toString("latin1", 0, bytesRead);
      const end = text.lastIndexOf("\n") + 1;
      this.#counter.add(text.slice(0, end), `byte ${this.#at}`);
      this.#rest = text.slice(end);
      this.#at += bytesRead;
    }
  }
}

function toFile(name: string, setup: Setup, configure: (output: string) => string[]): Promise<Collector> {
  const output = new Output(join(setup.dir, "out.log"), setup.counter);
  const command = configure(output.path);
  return Promise.resolve({ name, command, look: () => output.look(), damage: () => Promise.resolve([]), close: () => Promise.resolve() });
}

/** A receiver that decodes and counts every line before it says 200. */
function toHttp(name: string, setup: Setup, configure: (port: number) => string[]): Promise<Collector> {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    maxRequestBodySize: 2 ** 30,
    async fetch(request) {
      const body = await request.bytes();
      const codec = request.headers.get("content-encoding");
      const raw = codec === "zstd" ? await Bun.zstdDecompress(body) : codec === "gzip" ? gunzipSync(body) : body;
      setup.counter.add(Buffer.from(raw).toString("latin1"), request.url);
      return new Response(null, { status: 200 });
    },
  });
  const command = configure(Number(server.port));
  return Promise.resolve({
    name,
    command,
    look: () => Promise.resolve(),
    damage: () => Promise.resolve([]),
    close: () => server.stop(true),
  });
}

function write(dir: string, name: string, text: string): string {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

/** rsyslog: no queue between file and file, its place in a file noted after what was read is written. Not synced: that would be once a line. */
function rsyslog(executable: string): Peer {
  return {
    name: "rsyslog",
    open: (setup) =>
      toFile("rsyslog", setup, (output) => {
        const inputs = setup.include.map(
          (path) =>
            `input(type="imfile" file="${path}" tag="t" ruleset="out" reopenOnTruncate="on" persistStateInterval="100" persistStateAfterSubmission="on" addMetadata="off")\n`,
        );
        const text = `global(workDirectory="${setup.dir}")
module(load="imfile" mode="inotify")
template(name="line" type="string" string="%msg%\\n")
main_queue(queue.type="Direct")
ruleset(name="out" queue.type="Direct") { action(type="omfile" file="${output}" template="line" asyncWriting="off" flushOnTXEnd="on") }
${inputs.join("")}`;
        const modules = process.env["RSYSLOG_MODULES"];
        const states = ["-i", join(setup.dir, "rsyslog.pid"), ...(modules === undefined ? [] : ["-M", modules])];
        return [executable, "-n", "-f", write(setup.dir, "rsyslog.conf", text), ...states];
      }),
  };
}

/** syslog-ng: flow control from file to file, the file synced. */
function syslogNg(executable: string): Peer {
  return {
    name: "syslog-ng",
    open: (setup) =>
      toFile("syslog-ng", setup, (output) => {
        const flags = "flags(no-parse) follow-freq(0.1) log-fetch-limit(1000) log-iw-size(100000)";
        const inputs = setup.include.map((path) =>
          basename(path).includes("*")
            ? `  wildcard-file(base-dir("${dirname(path)}") filename-pattern("${basename(path)}") recursive(no) ${flags});\n`
            : `  file("${path}" ${flags});\n`,
        );
        const text = `@version: 3.38
options { threaded(no); log-msg-size(65536); stats-freq(0); };
source in {
${inputs.join("")}};
destination out { file("${output}" template("$MESSAGE\\n") fsync(yes)); };
log { source(in); destination(out); flags(flow-control); };
`;
        // A wildcard's folder must be there at the start.
        for (const path of setup.include) mkdirSync(dirname(path), { recursive: true });
        const place = (option: string, name: string): string[] => [option, join(setup.dir, name)];
        const states = [...place("--persist-file", "persist"), ...place("--control", "control"), ...place("--pidfile", "pid")];
        return [executable, "--foreground", "--no-caps", "--cfgfile", write(setup.dir, "syslog-ng.conf", text), ...states];
      }),
  };
}

/** Fluent Bit: chunks on disk with checksums, synced in full, an offsets database, no limit to retries. */
function fluentBit(executable: string): Peer {
  return {
    name: "Fluent Bit",
    open: (setup) =>
      toHttp("Fluent Bit", setup, (port) => {
        const text = `[SERVICE]
    flush 1
    log_level warn
    storage.path ${join(setup.dir, "spool")}
    storage.sync full
    storage.checksum on
    storage.max_chunks_up 128
    storage.backlog.mem_limit 50M
[INPUT]
    name tail
    path ${setup.include.join(",")}
    read_from_head true
    refresh_interval 1
    rotate_wait 60
    buffer_chunk_size 512k
    buffer_max_size 2M
    storage.type filesystem
    db ${join(setup.dir, "offsets.db")}
    db.sync full
[OUTPUT]
    name http
    host 127.0.0.1
    port ${port}
    uri /ingest
    format json_lines
    compress gzip
    retry_limit no_limits
    match *
`;
        return [executable, "-c", write(setup.dir, "fluent-bit.conf", text)];
      }),
  };
}

/** Vector: a disk buffer, end-to-end acknowledgements, blocking when full, every answer tried again. */
function vector(executable: string): Peer {
  return {
    name: "Vector",
    open: (setup) =>
      toHttp("Vector", setup, (port) => {
        const config = {
          data_dir: setup.dir,
          acknowledgements: { enabled: true },
          sources: {
            in: {
              type: "file",
              include: setup.include,
              read_from: "beginning",
              glob_minimum_cooldown_ms: 1000,
              max_line_bytes: 1_048_576,
            },
          },
          sinks: {
            out: {
              type: "http",
              inputs: ["in"],
              uri: `http://127.0.0.1:${port}/ingest`,
              method: "post",
              compression: "zstd",
              encoding: { codec: "json" },
              framing: { method: "newline_delimited" },
              batch: { max_bytes: 4_000_000, timeout_secs: 1 },
              healthcheck: { enabled: false },
              retry_strategy: { type: "all" },
              buffer: { type: "disk", max_size: 2 ** 31, when_full: "block" },
            },
          },
        };
        return [executable, "--quiet", "--config", write(setup.dir, "vector.json", JSON.stringify(config, null, 2))];
      }),
  };
}

/** Those that are there. */
export function findPeers(): Peer[] {
  const known: readonly (readonly [string | null | undefined, (executable: string) => Peer])[] = [
    [process.env["RSYSLOG"] ?? Bun.which("rsyslogd"), rsyslog],
    [process.env["SYSLOG_NG"] ?? Bun.which("syslog-ng"), syslogNg],
    [process.env["FLUENT_BIT"], fluentBit],
    [process.env["VECTOR"], vector],
  ];
  return known.flatMap(([executable, make]) => (executable === undefined || executable === null || executable === "" ? [] : [make(executable)]));
}
