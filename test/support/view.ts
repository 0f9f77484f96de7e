/** A View to show: what a running instance would say, in each of the states an operator may find it in. */
import { createMeter } from "../../src/core/meter.ts";
import type { FullSourceStatus, Health, Status, View } from "../../src/core/view.ts";
import type { SinkStatus } from "../../src/core/contract.ts";

/** A View whose answers a test may change at any time. */
export class ShownView implements View {
  readonly meter = createMeter();
  current: { status: Status; reasons: Health["reasons"] };
  isReady = true;
  flushes = 0;
  readonly filesAsked: (number | undefined)[] = [];
  /** Called before each answer of `status()`: a test makes the numbers move here. */
  onLook: (status: Status) => void = () => {};

  constructor(status: Status, reasons: Health["reasons"] = []) {
    this.current = { status, reasons };
  }

  status(filesMax?: number): Status {
    this.filesAsked.push(filesMax);
    this.onLook(this.current.status);
    return this.current.status;
  }

  health(): Health {
    return { state: this.current.status.state, reasons: this.current.reasons };
  }

  ready(): boolean {
    return this.isReady;
  }

  flush(): void {
    this.flushes++;
  }
}

/** `secondsAgo` before `nowMs`, as /status writes it. */
export function timeAgo(nowMs: number, secondsAgo: number): string {
  return new Date(nowMs - secondsAgo * 1000).toISOString();
}

const MiB = 1024 * 1024;

function source(changes: Partial<FullSourceStatus> = {}): FullSourceStatus {
  return { type: "file", state: "running", records: 0, bytes: 0, lag_bytes: 0, faults: 0, ...changes };
}

function sink(changes: Partial<SinkStatus> = {}): SinkStatus {
  return {
    type: "s3",
    state: "running",
    delivered_sequence: -1,
    records: 0,
    bytes: 0,
    lag_records: 0,
    lag_bytes: 0,
    batches: 0,
    retries: 0,
    dead: 0,
    ...changes,
  };
}

/** Just started: nothing read, nothing delivered. */
export function emptyView(): ShownView {
  return new ShownView({
    version: "0.1.0",
    host: "edge-1",
    spool_id: "5f0c1f7e9ad24b0fb7c02a7cfa03d1e8",
    uptime_s: 4,
    state: "ok",
    sources: { nginx: source({ state: "running", files: [], files_total: 0 }) },
    spool: { bytes: 0, max_bytes: 2048 * MiB, segments: 0, first_sequence: 0, last_sequence: -1, paused: "" },
    sinks: { lake: sink() },
    faults: {},
  });
}

/** An afternoon of work: three sources, two sinks, everything as it should be. */
export function okView(nowMs: number): ShownView {
  const files = [{ path: "/var/log/nginx/access.log", identity: "1", offset: 10, size: 10, lag_bytes: 0, state: "idle" as const }];
  return new ShownView({
    version: "0.1.0",
    host: "edge-1",
    spool_id: "5f0c1f7e9ad24b0fb7c02a7cfa03d1e8",
    uptime_s: 19_384,
    state: "ok",
    sources: {
      nginx: source({ records: 12_480_113, bytes: 3751 * MiB, last_record_time: timeAgo(nowMs, 0.4), files, files_total: 1 }),
      checkout: source({
        records: 1_204_880,
        bytes: 402 * MiB,
        last_record_time: timeAgo(nowMs, 2),
        files: [...files, ...files, ...files],
        files_total: 3,
        lag_bytes: 18_204,
      }),
      edges: source({
        type: "http",
        records: 88_120,
        bytes: 31 * MiB,
        last_record_time: timeAgo(nowMs, 65),
        listen: "http://0.0.0.0:8080/v1/records",
      }),
    },
    spool: {
      bytes: 213 * MiB,
      max_bytes: 2048 * MiB,
      segments: 14,
      first_sequence: 12_901_220,
      last_sequence: 13_773_112,
      oldest_record_time: timeAgo(nowMs, 291),
      paused: "",
    },
    sinks: {
      lake: sink({
        delivered_sequence: 13_310_004,
        records: 13_310_005,
        bytes: 801 * MiB,
        lag_records: 463_108,
        lag_bytes: 27 * MiB,
        oldest_undelivered_time: timeAgo(nowMs, 140),
        batches: 312,
        last_success_time: timeAgo(nowMs, 141),
      }),
      central: sink({
        type: "http",
        delivered_sequence: 13_771_402,
        records: 13_771_403,
        bytes: 829 * MiB,
        lag_records: 1710,
        lag_bytes: 122_880,
        oldest_undelivered_time: timeAgo(nowMs, 1.2),
        batches: 19_021,
        retries: 3,
        last_success_time: timeAgo(nowMs, 0.7),
        last_fault: {
          code: "http_unreachable",
          message: "post https://ingest.example.com/v1/records: connection refused",
          hint: "",
          time: timeAgo(nowMs, 7300),
        },
      }),
    },
    faults: { http_unreachable: 3 },
  });
}

/** Two things to look at, and the data still flows. */
export function degradedView(nowMs: number): ShownView {
  const view = okView(nowMs);
  const { status } = view.current;
  status.state = "degraded";
  Object.assign(status.sources["checkout"]!, { state: "waiting", faults: 1 });
  Object.assign(status.sinks["central"]!, {
    state: "retrying",
    retries: 27,
    lag_records: 241_007,
    lag_bytes: 14 * MiB,
    last_success_time: timeAgo(nowMs, 95),
    last_fault: {
      code: "http_unavailable",
      message: "post https://ingest.example.com/v1/records: 503 service unavailable",
      hint: "the receiver asks to wait; look at its own health. What waits stays in the spool",
      time: timeAgo(nowMs, 6),
    },
  });
  view.current.reasons = [
    {
      component: "sources.checkout",
      code: "file_permission_denied",
      message: "open /var/log/checkout/payments.log: permission denied",
      hint: "let the user logferry read this file: add it to the group adm, or chmod g+r the file",
      since: timeAgo(nowMs, 5400),
    },
    {
      component: "sinks.central",
      code: "http_unavailable",
      message: "post https://ingest.example.com/v1/records: 503 service unavailable",
      hint: "the receiver asks to wait; look at its own health. What waits stays in the spool",
      since: timeAgo(nowMs, 94),
    },
  ];
  status.faults = { file_permission_denied: 1, http_unavailable: 27 };
  return view;
}

/** A refused sink has let the spool fill up. */
export function failingView(nowMs: number): ShownView {
  const view = okView(nowMs);
  const { status } = view.current;
  status.state = "failing";
  status.spool = { ...status.spool, bytes: 2048 * MiB, segments: 131, paused: "full", oldest_record_time: timeAgo(nowMs, 40_200) };
  for (const each of Object.values(status.sources)) {
    each.lag_bytes += 310 * MiB;
    each.last_record_time = timeAgo(nowMs, 1262);
  }
  Object.assign(status.sinks["lake"]!, {
    state: "denied",
    lag_records: 31_204_551,
    lag_bytes: 2041 * MiB,
    retries: 671,
    last_success_time: timeAgo(nowMs, 40_260),
    last_fault: {
      code: "s3_access_denied",
      message:
        "put object raw/date=2026-11-23/hour=01/edge-1-5f0c1f7e9ad24b0f-00000001-00000000000013310005-00000000000013771402.ndjson.zst: 403 AccessDenied",
      hint: "allow s3:PutObject on arn:aws:s3:::logs/raw/* for the key in use, or check whether the key was revoked",
      time: timeAgo(nowMs, 31),
    },
  });
  view.current.reasons = [
    {
      component: "sinks.lake",
      code: "s3_access_denied",
      message:
        "put object raw/date=2026-11-23/hour=01/edge-1-5f0c1f7e9ad24b0f-00000001-00000000000013310005-00000000000013771402.ndjson.zst: 403 AccessDenied",
      hint: "allow s3:PutObject on arn:aws:s3:::logs/raw/* for the key in use, or check whether the key was revoked",
      since: timeAgo(nowMs, 40_200),
    },
    {
      component: "spool",
      code: "spool_full",
      message: "the spool has reached spool.max_bytes of 2 GiB: sources wait",
      hint: "bring the sink that is behind back, or raise spool.max_bytes; reading goes on by itself",
      since: timeAgo(nowMs, 1260),
    },
  ];
  status.faults = { s3_access_denied: 671, spool_full: 1 };
  return view;
}
