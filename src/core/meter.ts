/**
 * The counters and histograms behind /metrics, kept by prom-client: it is the Prometheus client of this runtime, writes the
 * text format and the `process_*` metrics, and runs inside the compiled executable. Gauges are drawn from /status when asked.
 */
import { Counter, Histogram, Registry } from "./prometheus.ts";

export interface Meter {
  readonly registry: Registry;
  /** Records and bytes (line ends included) a source has brought to the spool, once durable. */
  source(name: string, records: number, bytes: number): void;
  /** From the first byte of a group gathered to its sync, in seconds. */
  commit(seconds: number): void;
  /** From the first byte of a batch sent to the answer, in seconds. */
  delivery(sink: string, seconds: number): void;
}

export function createMeter(): Meter {
  const registry = new Registry();
  const records = new Counter({
    name: "logferry_source_records_total",
    help: "Records read and made durable.",
    labelNames: ["source"],
    registers: [registry],
  });
  const bytes = new Counter({
    name: "logferry_source_bytes_total",
    help: "Bytes read and made durable, line ends included.",
    labelNames: ["source"],
    registers: [registry],
  });
  const commits = new Histogram({
    name: "logferry_commit_seconds",
    help: "Time from the first record of a commit group to its sync.",
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  const deliveries = new Histogram({
    name: "logferry_delivery_seconds",
    help: "Time to deliver one batch, one try.",
    labelNames: ["sink"],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  return {
    registry,
    source(name, recordCount, byteCount) {
      records.inc({ source: name }, recordCount);
      bytes.inc({ source: name }, byteCount);
    },
    commit: (seconds) => commits.observe(seconds),
    delivery: (sink, seconds) => deliveries.observe({ sink }, seconds),
  };
}
