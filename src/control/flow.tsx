/** The picture of the way: sources, spool and sinks as three cards, and between them how fast it flows. */
import type { Health, Status } from "../core/view.ts";
import { sumOf, type Rate, type Rates } from "./rate.ts";
import { ago, bytes, count, counted, perSecond, shown } from "./words.ts";

type Tone = "" | "warn" | "bad";

export interface FlowProps {
  readonly status: Status;
  readonly health: Health;
  readonly rates: Rates;
  readonly nowMs: number;
}

/** A card is marked when a reason of /health concerns its stage, and says that in words too. */
export function Flow({ status, health, rates, nowMs }: FlowProps) {
  const concerned = (stage: string): Tone => {
    const reasons = health.reasons.filter(({ component }) => component === stage || component.startsWith(`${stage}.`));
    if (reasons.length === 0) return "";
    return health.state === "failing" ? "bad" : "warn";
  };
  const read = sumOf(rates.sources);
  const delivered = sumOf(rates.sinks);
  return (
    <div class="flow">
      <SourcesCard sources={status.sources} rate={read} tone={concerned("sources")} />
      <Arrow rate={read} from="sources" to="spool" />
      <SpoolCard spool={status.spool} tone={concerned("spool")} nowMs={nowMs} />
      <Arrow rate={delivered} from="spool" to="sinks" />
      <SinksCard sinks={status.sinks} rate={delivered} tone={concerned("sinks")} />
    </div>
  );
}

function Card({ title, note = "", tone, children }: { title: string; note?: string; tone: Tone; children?: unknown }) {
  return (
    <div class={`card stage ${tone}`}>
      <h2>
        <span>{title}</span>
        <span class={tone === "" ? "" : "tone"}>{tone === "" ? note : "see above"}</span>
      </h2>
      {children}
    </div>
  );
}

/** The rate once two looks have told it; before that, what has passed so far. */
function Figure({ rate, total, what }: { rate: Rate | undefined; total: number; what: string }) {
  return (
    <p class="figure">
      {rate === undefined ? count(total) : perSecond(rate.records)} <small>{what}</small>
    </p>
  );
}

function Row({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function SourcesCard({ sources, rate, tone }: { sources: Status["sources"]; rate: Rate | undefined; tone: Tone }) {
  const all = Object.values(sources);
  const total = (pick: (source: (typeof all)[number]) => number): number => all.reduce((sum, source) => sum + pick(source), 0);
  const records = total((source) => source.records);
  return (
    <Card title={all.length === 1 ? "1 source" : `${all.length} sources`} tone={tone}>
      <Figure rate={rate} total={records} what="records read" />
      <dl>
        <Row name="so far" value={records === 0 ? "nothing" : `${counted(records, "record")}, ${bytes(total((source) => source.bytes))}`} />
        <Row name="still to read" value={bytes(total((source) => source.lag_bytes))} />
      </dl>
    </Card>
  );
}

const pauses = { full: "full: sources wait", no_space: "disk full: sources wait", failing: "disk fails: sources wait" } as const;

function SpoolCard({ spool, tone, nowMs }: { spool: Status["spool"]; tone: Tone; nowMs: number }) {
  const share = spool.max_bytes > 0 ? Math.min(1, spool.bytes / spool.max_bytes) : 0;
  const percent = share > 0 && share < 0.01 ? "under 1" : String(Math.floor(share * 100));
  const paused = spool.paused === "" ? undefined : pauses[spool.paused];
  return (
    <Card title="Spool" note="durable on disk" tone={tone === "" && paused !== undefined ? "bad" : tone}>
      <p class="figure">
        {percent} % <small>{paused ?? "full"}</small>
      </p>
      <svg class="bar" role="img" aria-label={`${percent} percent of the spool is used`}>
        <rect class="track" width="100%" height="100%" />
        {/* A little that is there is to be seen. */}
        <rect class="fill" width={`${spool.bytes > 0 ? Math.max(1, share * 100).toFixed(1) : "0"}%`} height="100%" />
      </svg>
      <dl>
        <Row name="on disk" value={`${bytes(spool.bytes)} of ${bytes(spool.max_bytes)}`} />
        <Row name="oldest record" value={spool.oldest_record_time === undefined ? "none" : ago(spool.oldest_record_time, nowMs)} />
      </dl>
    </Card>
  );
}

function SinksCard({ sinks, rate, tone }: { sinks: Status["sinks"]; rate: Rate | undefined; tone: Tone }) {
  const all = Object.entries(sinks);
  const records = all.reduce((sum, [, sink]) => sum + sink.records, 0);
  const [last, behind] = all.reduce<[string, number]>((most, [name, sink]) => (sink.lag_bytes > most[1] ? [name, sink.lag_bytes] : most), ["", 0]);
  return (
    <Card title={all.length === 1 ? "1 sink" : `${all.length} sinks`} tone={tone}>
      <Figure rate={rate} total={records} what="records delivered" />
      <dl>
        <Row name="so far" value={records === 0 ? "nothing" : counted(records, "record")} />
        <Row
          name={all.length > 1 ? "furthest behind" : "waiting"}
          value={behind === 0 ? "none" : all.length > 1 ? `${shown(last)}, ${bytes(behind)}` : bytes(behind)}
        />
      </dl>
    </Card>
  );
}

function Arrow({ rate, from, to }: { rate: Rate | undefined; from: string; to: string }) {
  const flows = rate !== undefined && rate.bytes > 0;
  return (
    <div class={flows ? "arrow" : "arrow still"}>
      <span>{rate === undefined ? "" : flows ? `${bytes(rate.bytes)}/s` : "quiet"}</span>
      <svg
        width="64"
        height="16"
        viewBox="0 0 64 16"
        fill="none"
        stroke="currentColor"
        stroke-width="2.5"
        stroke-linecap="round"
        stroke-linejoin="round"
        role="img"
        aria-label={`${from} to ${to}`}
      >
        <path d="M2 8h57" stroke-dasharray={flows ? "none" : "3 7"} />
        <path d="M53 2l7 6-7 6" />
      </svg>
    </div>
  );
}
