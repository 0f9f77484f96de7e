/** Sources, spool and sinks one by one. On a telephone each row becomes a card; the roles keep it a table for those who listen. */
import type { Status } from "../core/view.ts";
import type { Rate, Rates } from "./rate.ts";
import { ago, bytes, count, counted, perSecond, shown, span } from "./words.ts";

type Source = Status["sources"][string];
type Sink = Status["sinks"][string];

const sourceTones: Record<Source["state"], string> = { starting: "plain", running: "ok", waiting: "warn", done: "ok", failed: "bad" };
const sinkTones: Record<Sink["state"], string> = { running: "ok", retrying: "warn", denied: "bad", stopped: "plain" };

function Badge({ state, tone }: { state: string; tone: string }) {
  return <span class={`badge ${tone}`}>{state}</span>;
}

/** A column's name is repeated in every cell, for the screens where there is no head. */
function Cell({ label, children }: { label: string; children?: unknown }) {
  return (
    <td role="cell" class={label === "State" ? "start" : ""} data-label={label}>
      <div>{children}</div>
    </td>
  );
}

function Table({ id, title, heads, children }: { id: string; title: string; heads: readonly string[]; children?: unknown }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <div class="card table">
        <table role="table" aria-labelledby={id}>
          <thead role="rowgroup">
            <tr role="row">
              {heads.map((head) => (
                <th role="columnheader" scope="col" class={head === "State" ? "start" : ""}>
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          {children}
        </table>
      </div>
    </section>
  );
}

function Nothing({ id, title, words }: { id: string; title: string; words: string }) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      <p class="card none">{words}</p>
    </section>
  );
}

function Name({ name, notes }: { name: string; notes: readonly string[] }) {
  return (
    <th role="rowheader" scope="row">
      <bdi>{shown(name)}</bdi>
      <small>
        <bdi>{shown(notes.join(" · "))}</bdi>
      </small>
    </th>
  );
}

function Speed({ rate }: { rate: Rate | undefined }) {
  if (rate === undefined) return <span class="soft">–</span>;
  return (
    <>
      {perSecond(rate.records)}
      {rate.bytes > 0 && <small>{`${bytes(rate.bytes)}/s`}</small>}
    </>
  );
}

function When({ time, nowMs, never }: { time: string | undefined; nowMs: number; never: string }) {
  if (time === undefined) return <span class="soft">{never}</span>;
  return (
    <time datetime={time} title={time}>
      {ago(time, nowMs)}
    </time>
  );
}

export function Sources({ sources, rates, nowMs }: { sources: Status["sources"]; rates: Rates; nowMs: number }) {
  const all = Object.entries(sources);
  if (all.length === 0) return <Nothing id="sources" title="Sources" words="No source is configured." />;
  return (
    <Table id="sources" title="Sources" heads={["Name", "State", "Records", "Bytes", "Rate", "Still to read", "Last record"]}>
      {all.map(([name, source]) => (
        <tbody role="rowgroup">
          <tr role="row">
            <Name name={name} notes={sourceNotes(source)} />
            <Cell label="State">
              <Badge state={source.state} tone={sourceTones[source.state]} />
            </Cell>
            <Cell label="Records">{count(source.records)}</Cell>
            <Cell label="Bytes">{bytes(source.bytes)}</Cell>
            <Cell label="Rate">
              <Speed rate={rates.sources.get(name)} />
            </Cell>
            <Cell label="Still to read">
              {bytes(source.lag_bytes)}
              {source.backlog?.seconds_left !== undefined && <small>{`about ${span(source.backlog.seconds_left)}`}</small>}
            </Cell>
            <Cell label="Last record">
              <When time={source.last_record_time} nowMs={nowMs} never="none yet" />
            </Cell>
          </tr>
        </tbody>
      ))}
    </Table>
  );
}

function sourceNotes(source: Source): string[] {
  const notes = [source.type];
  if (source.files_total !== undefined) notes.push(counted(source.files_total, "file"));
  const unread = (source.file_states?.unreadable ?? 0) + (source.file_states?.refused ?? 0);
  if (unread > 0) notes.push(`${count(unread)} not read`);
  if (source.listen !== undefined) notes.push(source.listen);
  if (source.faults > 0) notes.push(counted(source.faults, "fault"));
  return notes;
}

export function Spool({ spool, nowMs }: { spool: Status["spool"]; nowMs: number }) {
  const empty = spool.last_sequence < spool.first_sequence;
  return (
    <section aria-labelledby="spool">
      <h2 id="spool">Spool</h2>
      <dl class="card facts">
        <div>
          <dt>Records held</dt>
          <dd>
            {empty ? "none" : count(spool.last_sequence - spool.first_sequence + 1)}
            {!empty && <small>{`sequence ${count(spool.first_sequence)} to ${count(spool.last_sequence)}`}</small>}
          </dd>
        </div>
        <div>
          <dt>Oldest record</dt>
          <dd>
            <When time={spool.oldest_record_time} nowMs={nowMs} never="none" />
          </dd>
        </div>
        <div>
          <dt>On disk</dt>
          <dd>
            {bytes(spool.bytes)}
            <small>{`${counted(spool.segments, "segment")}, at most ${bytes(spool.max_bytes)}`}</small>
          </dd>
        </div>
        <div>
          <dt>Takes records</dt>
          <dd>{pauses[spool.paused]}</dd>
        </div>
      </dl>
    </section>
  );
}

const pauses: Record<Status["spool"]["paused"], string> = {
  "": "yes",
  full: "no: full, until a sink makes room",
  no_space: "no: the file system is short of space",
  failing: "no: the disk fails",
};

export function Sinks({ sinks, rates, nowMs }: { sinks: Status["sinks"]; rates: Rates; nowMs: number }) {
  const all = Object.entries(sinks);
  if (all.length === 0) return <Nothing id="sinks" title="Sinks" words="No sink is configured." />;
  const heads = ["Name", "State", "Delivered up to", "Records", "Rate", "Waiting", "Last success"];
  return (
    <Table id="sinks" title="Sinks" heads={heads}>
      {all.map(([name, sink]) => (
        <tbody role="rowgroup">
          <tr role="row">
            <Name name={name} notes={sinkNotes(sink)} />
            <Cell label="State">
              <Badge state={sink.state} tone={sinkTones[sink.state]} />
            </Cell>
            <Cell label="Delivered up to">{sink.delivered_sequence < 0 ? <span class="soft">none yet</span> : count(sink.delivered_sequence)}</Cell>
            <Cell label="Records">{count(sink.records)}</Cell>
            <Cell label="Rate">
              <Speed rate={rates.sinks.get(name)} />
            </Cell>
            <Cell label="Waiting">
              {sink.lag_records === 0 && sink.lag_bytes === 0 ? "none" : counted(sink.lag_records, "record")}
              {sink.lag_bytes > 0 && <small>{bytes(sink.lag_bytes)}</small>}
            </Cell>
            <Cell label="Last success">
              <When time={sink.last_success_time} nowMs={nowMs} never="none yet" />
            </Cell>
          </tr>
          {sink.last_fault !== undefined && <LastFault fault={sink.last_fault} over={isOver(sink)} columns={heads.length} nowMs={nowMs} />}
        </tbody>
      ))}
    </Table>
  );
}

function sinkNotes(sink: Sink): string[] {
  const notes = [sink.type, counted(sink.batches, "batch", "batches")];
  if (sink.retries > 0) notes.push(counted(sink.retries, "retry", "retries"));
  if (sink.dead > 0) notes.push(`${count(sink.dead)} in the dead letter`);
  return notes;
}

/** A fault is over once the sink has taken something after it. */
function isOver(sink: Sink): boolean {
  return (
    sink.last_fault !== undefined && sink.last_success_time !== undefined && Date.parse(sink.last_success_time) > Date.parse(sink.last_fault.time)
  );
}

function LastFault({ fault, over, columns, nowMs }: { fault: NonNullable<Sink["last_fault"]>; over: boolean; columns: number; nowMs: number }) {
  return (
    <tr role="row" class="fault">
      <td role="cell" colspan={columns}>
        <div class={over ? "plain" : "warn"}>
          <span class="soft">{over ? "last fault, over since: " : "last fault: "}</span>
          <code>{shown(fault.code)}</code> <When time={fault.time} nowMs={nowMs} never="" />
          <p>{shown(fault.message)}</p>
          {fault.hint !== "" && !over && (
            <p class="hint">
              <b>What to do:</b> {shown(fault.hint)}
            </p>
          )}
        </div>
      </td>
    </tr>
  );
}
