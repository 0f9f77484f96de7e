/** What the control API shows and may ask for; the agent implements it. Names are the public ones of /status and /health. */
import type { Reason } from "./board.ts";
import type { Meter } from "./meter.ts";
import type { SinkStatus, SourceStatus, SpoolStatus } from "./contract.ts";

export interface Health {
  state: "ok" | "degraded" | "failing";
  reasons: Omit<Reason, "severity">[];
}

/** Much is there and not read yet. */
export interface BacklogStatus {
  bytes_left: number;
  /** Read and durable, as of the last seconds. */
  bytes_per_second: number;
  /** Until it is caught up with; missing while what is left does not shrink. */
  seconds_left?: number;
}

export interface FullSourceStatus extends SourceStatus {
  type: string;
  records: number;
  bytes: number;
  lag_bytes: number;
  last_record_time?: string;
  backlog?: BacklogStatus;
  /** Faults of this source so far. */
  faults: number;
  /** Given up by a full spool since the start, though some sink had not confirmed them; bytes are NDJSON. */
  dropped_records?: number;
  dropped_bytes?: number;
}

/** `GET /status`. Times are RFC 3339. */
export interface Status {
  version: string;
  host: string;
  spool_id: string;
  uptime_s: number;
  state: Health["state"];
  sources: Record<string, FullSourceStatus>;
  spool: SpoolStatus;
  sinks: Record<string, SinkStatus>;
  faults: Record<string, number>;
}

export interface View {
  /** `filesMax`: of each source's files as many at most; left out, `filesShown` (files.ts). */
  status(filesMax?: number): Status;
  health(): Health;
  /** Sources run and the spool takes data; a far side that is away does not change it. */
  ready(): boolean;
  readonly meter: Meter;
  /** Closes every open batch and ships it now. */
  flush(): void;
}
