/**
 * `GET /metrics`: the counters and histograms of the meter, gauges drawn from /status at the moment of asking, and the
 * `process_*` metrics every Prometheus dashboard knows.
 *
 * Promises: valid Prometheus text 0.0.4; a source or sink that is gone leaves no line behind; asking costs one look at /status.
 * prom-client's own default metrics are not used: under this runtime they bring empty heap spaces and `Nan`, and their CPU
 * counter begins at registration and not with the process.
 */
import type { Doors } from "../core/doors.ts";
import { Counter, Gauge, Registry } from "../core/prometheus.ts";
import type { Status, View } from "../core/view.ts";

/** The text of /metrics, and the content type it has. */
export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
}

export function createMetrics(view: View, doors: Doors): Metrics {
  const registry = new Registry();
  const fillFlow = flowMetrics(registry);
  const fillProcess = processMetrics(registry, doors);
  return {
    contentType: registry.contentType,
    async text() {
      fillFlow(view.status(0));
      await fillProcess();
      return `${(await view.meter.registry.metrics()).trimEnd()}\n${await registry.metrics()}`;
    },
  };
}

type Values = readonly (readonly [labels: Record<string, string>, value: number])[];

/** A gauge whose lines are replaced as a whole by each call of what is returned. */
function gauge(registry: Registry, name: string, help: string, labelNames: string[] = []): (values: Values) => void {
  const metric = new Gauge({ name, help, labelNames, registers: [registry] });
  return (values) => {
    metric.reset();
    // The reset sets a metric without labels to 0; when there is nothing to show, 0 would be a lie.
    if (values.length === 0 && labelNames.length === 0) metric.remove({});
    for (const [labels, value] of values) metric.set(labels, value);
  };
}

/** The same for a total that is counted elsewhere. */
function counter(registry: Registry, name: string, help: string, labelNames: string[] = []): (values: Values) => void {
  const metric = new Counter({ name, help, labelNames, registers: [registry] });
  return (values) => {
    metric.reset();
    for (const [labels, value] of values) metric.inc(labels, value);
  };
}

/** RFC 3339 to seconds since 1970; nothing for nothing. */
function secondsOf(labels: Record<string, string>, time: string | undefined): Values {
  const ms = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(ms) ? [] : [[labels, ms / 1000]];
}

function flowMetrics(registry: Registry): (status: Status) => void {
  const info = gauge(registry, "logferry_build_info", "Always 1; the label tells which version runs.", ["version"]);
  const state = gauge(registry, "logferry_health", "1 for the state /health is in, 0 for the others.", ["state"]);
  const faults = counter(registry, "logferry_faults_total", "Faults so far, by code.", ["code"]);
  const fillSources = sourceMetrics(registry);
  const fillSpool = spoolMetrics(registry);
  const fillSinks = sinkMetrics(registry);
  return (status) => {
    info([[{ version: status.version }, 1]]);
    state((["ok", "degraded", "failing"] as const).map((each) => [{ state: each }, each === status.state ? 1 : 0]));
    faults(Object.entries(status.faults).map(([code, count]) => [{ code }, count]));
    fillSources(status.sources);
    fillSpool(status.spool);
    fillSinks(status.sinks);
  };
}

function sourceMetrics(registry: Registry): (sources: Status["sources"]) => void {
  const lag = gauge(registry, "logferry_source_lag_bytes", "Bytes that are there and not yet durable in the spool.", ["source"]);
  const last = gauge(registry, "logferry_source_last_record_timestamp_seconds", "Time of the newest record of the source.", ["source"]);
  const faults = counter(registry, "logferry_source_faults_total", "Faults of the source so far.", ["source"]);
  const droppedRecords = counter(registry, "logferry_source_dropped_records_total", "Records given up by a full spool before every sink had them.", [
    "source",
  ]);
  const droppedBytes = counter(registry, "logferry_source_dropped_bytes_total", "Their bytes, as NDJSON.", ["source"]);
  const deleted = gauge(registry, "logferry_source_deleted_bytes", "What deleted files hold on disk since they are still read.", ["source"]);
  const lost = counter(registry, "logferry_source_deleted_lost_bytes_total", "Bytes of deleted files given up unread for deleted_bytes_max.", [
    "source",
  ]);
  return (sources) => {
    const all = Object.entries(sources);
    const files = all.filter(([, status]) => status.files_total !== undefined);
    deleted(files.map(([source, status]) => [{ source }, status.deleted_bytes ?? 0]));
    lost(files.map(([source, status]) => [{ source }, status.deleted_lost_bytes ?? 0]));
    lag(all.map(([source, status]) => [{ source }, status.lag_bytes]));
    last(all.flatMap(([source, status]) => secondsOf({ source }, status.last_record_time)));
    faults(all.map(([source, status]) => [{ source }, status.faults]));
    droppedRecords(all.map(([source, status]) => [{ source }, status.dropped_records ?? 0]));
    droppedBytes(all.map(([source, status]) => [{ source }, status.dropped_bytes ?? 0]));
  };
}

function spoolMetrics(registry: Registry): (spool: Status["spool"]) => void {
  const bytes = gauge(registry, "logferry_spool_bytes", "Bytes the segments of the spool take on disk.");
  const bytesMax = gauge(registry, "logferry_spool_max_bytes", "Bytes they may take: spool.max_bytes.");
  const segments = gauge(registry, "logferry_spool_segments", "Segment files.");
  const first = gauge(registry, "logferry_spool_first_sequence", "Sequence of the oldest record held.");
  const last = gauge(registry, "logferry_spool_last_sequence", "Sequence of the newest durable record.");
  const droppedRecords = counter(registry, "logferry_spool_dropped_records_total", "Records given up for room before every sink had them.");
  const droppedBytes = counter(registry, "logferry_spool_dropped_bytes_total", "Their bytes, as NDJSON.");
  const paused = gauge(registry, "logferry_spool_paused", "1 while the spool takes nothing.", ["reason"]);
  return (spool) => {
    bytes([[{}, spool.bytes]]);
    bytesMax([[{}, spool.max_bytes]]);
    segments([[{}, spool.segments]]);
    first([[{}, spool.first_sequence]]);
    last([[{}, spool.last_sequence]]);
    droppedRecords([[{}, spool.dropped_records ?? 0]]);
    droppedBytes([[{}, spool.dropped_bytes ?? 0]]);
    paused((["full", "no_space", "failing"] as const).map((reason) => [{ reason }, spool.paused === reason ? 1 : 0]));
  };
}

function sinkMetrics(registry: Registry): (sinks: Status["sinks"]) => void {
  const sink = ["sink"];
  const lagBytes = gauge(registry, "logferry_sink_lag_bytes", "Bytes in the spool the sink has not delivered yet.", sink);
  const lagRecords = gauge(registry, "logferry_sink_lag_records", "Records in the spool the sink has not delivered yet.", sink);
  const records = counter(registry, "logferry_sink_records_total", "Records delivered.", sink);
  const bytes = counter(registry, "logferry_sink_bytes_total", "Bytes delivered, as sent.", sink);
  const batches = counter(registry, "logferry_sink_batches_total", "Batches delivered.", sink);
  const retries = counter(registry, "logferry_sink_retries_total", "Tries after the first one.", sink);
  const dead = gauge(registry, "logferry_sink_dead_records", "Records in the dead letter.", sink);
  const dropped = counter(registry, "logferry_sink_dropped_records_total", "Records the spool gave up before this sink had them.", sink);
  const refused = counter(registry, "logferry_sink_refused_records_total", "Records the far side refused for good, which were given up.", [
    "sink",
    "reason",
  ]);
  const oldest = gauge(registry, "logferry_sink_oldest_undelivered_timestamp_seconds", "Time of the oldest record not delivered yet.", sink);
  const success = gauge(registry, "logferry_sink_last_success_timestamp_seconds", "When the sink last took a batch.", sink);
  return (sinks) => {
    const all = Object.entries(sinks).map(([name, status]) => ({ labels: { sink: name }, status }));
    lagBytes(all.map(({ labels, status }) => [labels, status.lag_bytes]));
    lagRecords(all.map(({ labels, status }) => [labels, status.lag_records]));
    records(all.map(({ labels, status }) => [labels, status.records]));
    bytes(all.map(({ labels, status }) => [labels, status.bytes]));
    batches(all.map(({ labels, status }) => [labels, status.batches]));
    retries(all.map(({ labels, status }) => [labels, status.retries]));
    dead(all.map(({ labels, status }) => [labels, status.dead]));
    dropped(all.map(({ labels, status }) => [labels, status.dropped_records ?? 0]));
    refused(
      all.flatMap(({ labels, status }) => Object.entries(status.refused_reasons ?? {}).map(([reason, count]) => [{ ...labels, reason }, count])),
    );
    oldest(all.flatMap(({ labels, status }) => secondsOf(labels, status.oldest_undelivered_time)));
    success(all.flatMap(({ labels, status }) => secondsOf(labels, status.last_success_time)));
  };
}

function processMetrics(registry: Registry, doors: Doors): () => Promise<void> {
  const cpu = counter(registry, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
  const resident = gauge(registry, "process_resident_memory_bytes", "Resident memory size in bytes.");
  const started = gauge(registry, "process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
  const open = gauge(registry, "process_open_fds", "Number of open file descriptors.");
  const openMax = gauge(registry, "process_max_fds", "Maximum number of open file descriptors.");
  const startSeconds = doors.clock.now() / 1000 - process.uptime();
  return async () => {
    const { user, system } = process.cpuUsage();
    cpu([[{}, (user + system) / 1e6]]);
    resident([[{}, process.memoryUsage.rss()]]);
    started([[{}, startSeconds]]);
    open(single(await openFiles(doors)));
    openMax(single(await openFilesMax(doors)));
  };
}

function single(value: number | undefined): Values {
  return value === undefined ? [] : [[{}, value]];
}

/** Linux and macOS each have one of the two; elsewhere the metric is left out. */
async function openFiles(doors: Doors): Promise<number | undefined> {
  for (const folder of ["/proc/self/fd", "/dev/fd"]) {
    const names = await doors.disk.list(folder).catch(() => undefined);
    if (names !== undefined) return names.length - 1; // the one the listing itself has open
  }
  return undefined;
}

async function openFilesMax(doors: Doors): Promise<number | undefined> {
  try {
    await using file = await doors.disk.open("/proc/self/limits", "read");
    const bytes = new Uint8Array(4096);
    const limits = Buffer.from(bytes.subarray(0, await file.read(bytes, 0))).toString("latin1");
    const soft = /^Max open files +(\d+)/m.exec(limits)?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined; // macOS has no such file
  }
}
