/**
 * A real Loki for tests: the executable that `LOKI_BIN` names, single binary, storage in a scratch folder, ports that are free.
 * `await using loki = await startReal(process.env.LOKI_BIN, limits);`
 */
import { mkdir, writeFile } from "node:fs/promises";
import { freePort } from "../port.ts";
import { startProcess } from "../process.ts";
import { scratch } from "../scratch.ts";
import { until } from "../until.ts";
import type { Limits } from "./fake.ts";

export interface RealLoki extends AsyncDisposable {
  readonly url: string;
}

/** Resolves once it is ready. Rejects with its log when it is not. */
export async function startReal(executable: string, limits: Limits): Promise<RealLoki> {
  const dir = await scratch();
  const [port, grpc] = [await freePort(), await freePort()];
  await mkdir(dir.join("data"));
  await writeFile(dir.join("loki.yaml"), configOf(dir.join("data"), port, grpc, limits));
  const loki = startProcess([executable, `-config.file=${dir.join("loki.yaml")}`, "-target=all"], { cwd: dir.path });
  const url = `http://127.0.0.1:${port}`;
  try {
    let ended = false;
    void loki.exited.then(() => (ended = true));
    await until(async () => ended || (await fetch(`${url}/ready`)).status === 200, "Loki is ready");
    if (ended) throw new Error("it ended");
  } catch (cause) {
    await loki.stop("SIGKILL");
    await dir[Symbol.asyncDispose]();
    throw new Error(`Loki did not start: ${loki.stderr().slice(-2000)}`, { cause });
  }
  return {
    url,
    async [Symbol.asyncDispose]() {
      await loki.stop("SIGKILL");
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** As the recordings were made: tenants apart, no labels of its own making. */
function configOf(data: string, port: number, grpc: number, { entries, tails, tailMs }: Limits): string {
  return `
auth_enabled: true
server: { http_listen_address: 127.0.0.1, http_listen_port: ${port}, grpc_listen_address: 127.0.0.1, grpc_listen_port: ${grpc}, log_level: warn }
common:
  instance_addr: 127.0.0.1
  path_prefix: ${data}
  replication_factor: 1
  ring: { kvstore: { store: inmemory } }
  storage: { filesystem: { chunks_directory: ${data}/chunks, rules_directory: ${data}/rules } }
schema_config:
  configs: [{ from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: { prefix: index_, period: 24h } }]
ingester: { lifecycler: { min_ready_duration: 0s, final_sleep: 0s } }
querier: { tail_max_duration: ${Math.max(1, Math.round(tailMs / 1000))}s }
limits_config:
  allow_structured_metadata: true
  discover_service_name: []
  discover_log_levels: false
  max_entries_limit_per_query: ${entries}
  max_concurrent_tail_requests: ${tails}
  ingestion_rate_mb: 64
  ingestion_burst_size_mb: 128
  per_stream_rate_limit: 64MB
  per_stream_rate_limit_burst: 128MB
analytics: { reporting_enabled: false }
`;
}
