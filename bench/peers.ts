/**
 * Other collectors, set to promises as near to ours as they have: read a file from its start, buffer on disk, ship NDJSON to the
 * counting receiver by HTTP. Each takes part when it is there: Fluent Bit and Vector when `FLUENT_BIT` or `VECTOR` names an
 * executable, syslog-ng when it is on the PATH (Debian: syslog-ng-core and syslog-ng-mod-http).
 *
 * What they do not do is said in `lacks`, and stands beside their figures.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Peer {
  readonly name: string;
  /** What it does less than logferry in this benchmark. Empty when nothing is known. */
  readonly lacks: string;
  /** Writes its configuration into `folder`; the command that ships the file `log` to `url` and goes on until it is ended. */
  command(folder: string, log: string, url: string): string[];
}

/** Fluent Bit: chunks on disk with checksums, synced in full, an offsets database. */
function fluentBit(executable: string): Peer {
  return {
    name: "Fluent Bit",
    lacks: "",
    command(folder, log, url) {
      const { hostname, port, pathname } = new URL(url);
      const sections = {
        SERVICE: {
          flush: 1,
          log_level: "warn",
          "storage.path": join(folder, "spool"),
          "storage.sync": "full",
          "storage.checksum": "on",
          "storage.max_chunks_up": 128,
          "storage.backlog.mem_limit": "50M",
        },
        INPUT: {
          name: "tail",
          path: log,
          read_from_head: true,
          buffer_chunk_size: "512k",
          buffer_max_size: "2M",
          "storage.type": "filesystem",
          db: join(folder, "offsets.db"),
        },
        OUTPUT: { name: "http", host: hostname, port, uri: pathname, format: "json_lines", compress: "zstd", match: "*", retry_limit: "no_limits" },
      };
      const text = Object.entries(sections).map(
        ([title, keys]) =>
          `[${title}]\n${Object.entries(keys)
            .map(([key, value]) => `    ${key} ${value}\n`)
            .join("")}`,
      );
      return [executable, "-c", write(folder, "fluent-bit.conf", text.join(""))];
    },
  };
}

/** Vector: a disk buffer, end-to-end acknowledgements, blocking when full. */
function vector(executable: string): Peer {
  return {
    name: "Vector",
    lacks: "syncs its buffer every 500 ms and not before it acknowledges",
    command(folder, log, url) {
      const config = {
        data_dir: folder,
        acknowledgements: { enabled: true },
        sources: { in: { type: "file", include: [log], read_from: "beginning", max_line_bytes: 1048576 } },
        sinks: {
          out: {
            type: "http",
            inputs: ["in"],
            uri: url,
            method: "post",
            compression: "zstd",
            encoding: { codec: "json" },
            framing: { method: "newline_delimited" },
            batch: { max_bytes: 4_000_000, timeout_secs: 1 },
            healthcheck: { enabled: false },
            buffer: { type: "disk", max_size: 2 ** 31, when_full: "block" },
          },
        },
      };
      return [executable, "--quiet", "--config", write(folder, "vector.json", JSON.stringify(config, null, 2))];
    },
  };
}

/** syslog-ng 3.38: a reliable disk buffer and flow control. */
function syslogNg(executable: string): Peer {
  return {
    name: "syslog-ng",
    lacks: "does not compress, does not sync its buffer",
    command(folder, log, url) {
      const text = `@version: 3.38
options { threaded(yes); log-msg-size(1048576); stats-freq(0); };
source in { file("${log}" follow-freq(0.1) flags(no-parse) log-fetch-limit(1000) log-iw-size(100000)); };
destination out {
  http(url("${url}") method("POST") body("$(format-json --scope none time=$ISODATE host=$HOST message=$MESSAGE)") delimiter("\\n")
    batch-lines(10000) batch-bytes(4000000) batch-timeout(1000) workers(2) timeout(60)
    disk-buffer(reliable(yes) mem-buf-size(67108864) disk-buf-size(2147483648) dir("${folder}")));
};
log { source(in); destination(out); flags(flow-control); };
`;
      const place = (option: string, name: string): string[] => [option, join(folder, name)];
      const states = [...place("--persist-file", "persist"), ...place("--control", "control"), ...place("--pidfile", "pid")];
      return [executable, "--foreground", "--no-caps", "--cfgfile", write(folder, "syslog-ng.conf", text), ...states];
    },
  };
}

function write(folder: string, name: string, text: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Those that are there. */
export function findPeers(): Peer[] {
  const known: readonly (readonly [string | undefined | null, (executable: string) => Peer])[] = [
    [process.env["FLUENT_BIT"], fluentBit],
    [process.env["VECTOR"], vector],
    [Bun.which("syslog-ng"), syslogNg],
  ];
  return known.flatMap(([executable, make]) => (executable === undefined || executable === null || executable === "" ? [] : [make(executable)]));
}
