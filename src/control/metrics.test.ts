/** /metrics, read by a parser that is not ours. */
import { expect, test } from "bun:test";
import parsePrometheusTextFormat, { type Family } from "parse-prometheus-text-format";
import { emptyView, failingView, okView, type ShownView } from "../../test/support/view.ts";
import { systemDoors } from "../core/doors.ts";
import { createMetrics } from "./metrics.ts";

async function families(view: ShownView, metrics = createMetrics(view, systemDoors)): Promise<Map<string, Family>> {
  const parsed = parsePrometheusTextFormat(await metrics.text());
  return new Map(parsed.map((family) => [family.name, family]));
}

/** The value with exactly these labels. */
function valueOf(found: Map<string, Family>, name: string, labels: Record<string, string> = {}): number | undefined {
  const wanted = JSON.stringify(labels);
  const metric = found.get(name)?.metrics.find((each) => JSON.stringify(each.labels ?? {}) === wanted);
  return metric?.value === undefined ? undefined : Number(metric.value);
}

test("the names that bind are there, with the numbers of the view", async () => {
  const view = okView(Date.now());
  view.meter.source("nginx", 12, 3400);
  view.meter.commit(0.02);
  view.meter.delivery("lake", 0.3);
  const found = await families(view);
  expect(valueOf(found, "logferry_source_records_total", { source: "nginx" })).toBe(12);
  expect(valueOf(found, "logferry_source_bytes_total", { source: "nginx" })).toBe(3400);
  expect(valueOf(found, "logferry_spool_bytes")).toBe(213 * 1024 * 1024);
  expect(valueOf(found, "logferry_sink_lag_bytes", { sink: "lake" })).toBe(27 * 1024 * 1024);
  expect(valueOf(found, "logferry_sink_lag_bytes", { sink: "central" })).toBe(122_880);
  expect(valueOf(found, "logferry_source_lag_bytes", { source: "checkout" })).toBe(18_204);
  expect(valueOf(found, "logferry_faults_total", { code: "http_unreachable" })).toBe(3);
  expect(found.get("logferry_faults_total")?.type).toBe("COUNTER");
  expect(found.get("logferry_commit_seconds")).toMatchObject({ type: "HISTOGRAM", metrics: [{ count: "1" }] });
  expect(await view.meter.registry.metrics()).toContain('logferry_delivery_seconds_count{sink="lake"} 1');
  expect(found.get("logferry_delivery_seconds")?.metrics[0]?.buckets?.["+Inf"]).toBe("1");
});

test("the process metrics are this process's", async () => {
  const found = await families(emptyView());
  const cpu = process.cpuUsage();
  expect(valueOf(found, "process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(valueOf(found, "process_cpu_seconds_total")).toBeLessThanOrEqual((cpu.user + cpu.system) / 1e6);
  expect(valueOf(found, "process_resident_memory_bytes")).toBeGreaterThan(10 * 1024 * 1024);
  expect(Math.abs(valueOf(found, "process_start_time_seconds")! - (Date.now() / 1000 - process.uptime()))).toBeLessThan(5);
  expect(valueOf(found, "process_open_fds")).toBeGreaterThan(2);
  if (process.platform === "linux") expect(valueOf(found, "process_max_fds")).toBeGreaterThan(16);
});

test("totals are not added up from one scrape to the next, and what is gone leaves no line", async () => {
  const view = failingView(Date.now());
  const metrics = createMetrics(view, systemDoors);
  const before = await families(view, metrics);
  expect(valueOf(before, "logferry_faults_total", { code: "s3_access_denied" })).toBe(671);
  expect(valueOf(before, "logferry_health", { state: "failing" })).toBe(1);
  expect(valueOf(before, "logferry_spool_paused", { reason: "full" })).toBe(1);
  const { status } = view.current;
  delete status.sinks["lake"];
  status.state = "ok";
  status.spool.paused = "";
  const after = await families(view, metrics);
  expect(valueOf(after, "logferry_faults_total", { code: "s3_access_denied" })).toBe(671);
  expect(valueOf(after, "logferry_health", { state: "failing" })).toBe(0);
  expect(valueOf(after, "logferry_spool_paused", { reason: "full" })).toBe(0);
  expect(after.get("logferry_sink_lag_bytes")?.metrics).toHaveLength(1);
});

test("names with quotes, line ends and backslashes stay one label each", async () => {
  const view = emptyView();
  const hostile = 'a"b\\c\nlogferry_faults_total{code="x"} 1';
  view.current.status.sources[hostile] = { ...view.current.status.sources["nginx"]!, lag_bytes: 5 };
  const found = await families(view);
  expect(found.get("logferry_source_lag_bytes")?.metrics).toHaveLength(2);
  expect(valueOf(found, "logferry_faults_total", { code: "x" })).toBeUndefined();
});

test("a spool that has never delivered anything has no times to show", async () => {
  const found = await families(emptyView());
  expect(found.get("logferry_sink_last_success_timestamp_seconds")?.metrics).toEqual([]);
  expect(createMetrics(emptyView(), systemDoors).contentType).toStartWith("text/plain; version=0.0.4");
});
