/** Where the demo keeps its things, and the two configurations it runs on. All of it lies in one folder that a new run replaces. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";

export const root = join(import.meta.dir, "..", "..");
export const home = join(root, ".cache", "demo");

export interface Side {
  readonly name: "edge" | "central";
  readonly config: string;
  readonly log: string;
  /** The folder its `directory` sink writes to. */
  readonly lake: string;
}

export interface Ports {
  readonly edge: number;
  readonly central: number;
  readonly ingest: number;
}

const side = (name: Side["name"]): Side => ({
  name,
  config: join(home, name, "logferry.yaml"),
  log: join(home, name, "logferry.log"),
  lake: join(home, name, "lake"),
});

export const edge = side("edge");
export const central = side("central");
export const logs = join(home, "logs");

/** The demo's log files: by source, the folder and file, the corpus, and lines a second. */
export const files = {
  nginx: { path: join(logs, "nginx", "access.log"), kind: "access", linesPerSecond: 2000 },
  shop: { path: join(logs, "shop", "app.log"), kind: "json", linesPerSecond: 1500 },
  system: { path: join(logs, "system", "syslog"), kind: "syslog", linesPerSecond: 1500 },
} as const;

export type SourceName = keyof typeof files;
export const sourceNames = Object.keys(files) as SourceName[];

const partition = "source={source}/date=%Y-%m-%d/hour=%H";

/** Begins from nothing: what an earlier run left is removed. */
export function prepare(ports: Ports): void {
  rmSync(home, { recursive: true, force: true });
  for (const folder of [join(home, "edge"), join(home, "central"), ...sourceNames.map((name) => join(logs, name))])
    mkdirSync(folder, { recursive: true });
  for (const name of sourceNames) writeFileSync(files[name].path, "");
  const token = join(home, "token");
  writeFileSync(token, crypto.randomUUID(), { mode: 0o600 });
  const lake = (to: Side): object => ({ type: "directory", dir: to.lake, partition, batch: { age_max: "2s" } });
  const source = (name: SourceName): object => ({ type: "file", include: [`${files[name].path}*`] });
  const edgeConfig = {
    host: "demo-edge",
    spool: { dir: join(home, "edge", "spool"), min_free_bytes: "64MiB" },
    sources: Object.fromEntries(sourceNames.map((name) => [name, source(name)])),
    sinks: {
      lake: lake(edge),
      central: { type: "http", url: `http://127.0.0.1:${ports.ingest}/v1/records`, bearer_token_file: token },
    },
    control: { listen: `127.0.0.1:${ports.edge}` },
  };
  const centralConfig = {
    host: "demo-central",
    spool: { dir: join(home, "central", "spool"), min_free_bytes: "64MiB" },
    sources: { edges: { type: "http", listen: `127.0.0.1:${ports.ingest}`, bearer_token_file: token } },
    sinks: { lake: lake(central) },
    control: { listen: `127.0.0.1:${ports.central}` },
  };
  writeFileSync(
    edge.config,
    `# The demo's edge: tails three logs, keeps them in its spool, ships them to a folder and to the central.\n${stringify(edgeConfig)}`,
  );
  writeFileSync(central.config, `# The demo's central: takes what edges send by HTTP and ships it to a folder.\n${stringify(centralConfig)}`);
}

/** Ports nobody listens on now. All are held at once, so that they differ; another process may still be faster. */
export function freePorts(): Ports {
  const servers = [0, 1, 2].map(() => Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }));
  const [edgePort, centralPort, ingest] = servers.map((server) => server.port) as [number, number, number];
  for (const server of servers) server.stop(true);
  return { edge: edgePort, central: centralPort, ingest };
}
