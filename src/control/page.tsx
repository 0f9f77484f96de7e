/**
 * `GET /`: the page for people. What is wrong stands on top in words, with what to do; below it the way of the data in numbers.
 *
 * Promises: everything is rendered here, so that it reads without script too; whatever names, paths and messages hold is shown
 * as text; the page loads nothing from elsewhere, and its policy lets it run and style by nothing but its own two texts.
 */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Clock } from "../core/clock.ts";
import type { Health, Status, View } from "../core/view.ts";
import { Flow } from "./flow.tsx";
import { RateWatch } from "./rate.ts";
import { script } from "./script.ts";
import { style } from "./style.ts";
import { Sinks, Sources, Spool } from "./table.tsx";
import { bytes, counted, heldFor, shown, span } from "./words.ts";

const hashOf = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** The policy names both texts by their hash: what gets into the page by any other way neither runs nor styles. */
export const pageHeaders: Record<string, string> = {
  "content-security-policy":
    `default-src 'none'; script-src ${hashOf(script)}; style-src ${hashOf(style)}; img-src data:; connect-src 'self'; ` +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
};

/** Renders the page as it is now. Keeps the numbers of the last looks, for the rates. */
export function createPage(view: View, clock: Clock): () => ReturnType<typeof html> {
  const watch = new RateWatch();
  return () => {
    const status = view.status(0);
    const health = view.health();
    const rates = watch.look(status, clock.monotonic());
    const nowMs = clock.now();
    const main = (
      <main>
        <Banner health={health} status={status} nowMs={nowMs} />
        <Flow status={status} health={health} rates={rates} nowMs={nowMs} />
        <Sources sources={status.sources} rates={rates} nowMs={nowMs} />
        <Spool spool={status.spool} nowMs={nowMs} />
        <Sinks sinks={status.sinks} rates={rates} nowMs={nowMs} />
      </main>
    );
    return html`<!doctype html>${<Page status={status} health={health} main={main} />}`;
  };
}

const tones = { ok: "ok", degraded: "warn", failing: "bad" } as const;
const iconColours = { ok: "#1f9d5b", degraded: "#e09a1a", failing: "#d93a32" } as const;

function Page({ status, health, main }: { status: Status; health: Health; main: unknown }) {
  const host = shown(status.host);
  const dot = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="${iconColours[health.state]}"/></svg>`;
  return (
    <html lang="en" data-version={status.version}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`${health.state} · ${host} · logferry`}</title>
        <link id="icon" rel="icon" href={`data:image/svg+xml,${encodeURIComponent(dot)}`} />
        <style>{raw(style)}</style>
        {raw('<noscript><meta http-equiv="refresh" content="5"></noscript>')}
      </head>
      <body>
        <header id="top">
          <div class="brand">
            <Ferry />
            logferry
          </div>
          <dl>
            <div>
              <dt>host</dt>
              <dd>
                <bdi>{host}</bdi>
              </dd>
            </div>
            <div>
              <dt>up</dt>
              <dd>{span(status.uptime_s)}</dd>
            </div>
            <div>
              <dt>version</dt>
              <dd>{shown(status.version)}</dd>
            </div>
          </dl>
        </header>
        <p id="lost" role="alert" hidden></p>
        {main}
        <footer>
          <a href="/status">status as JSON</a>
          <a href="/metrics">metrics for Prometheus</a>
          <a href="/health">health</a>
          <span>
            spool <code>{shown(status.spool_id)}</code>
          </span>
        </footer>
        <script>{raw(script)}</script>
      </body>
    </html>
  );
}

function Ferry() {
  return (
    <svg
      width="30"
      height="26"
      viewBox="0 0 30 26"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linejoin="round"
      stroke-linecap="round"
      aria-hidden="true"
    >
      <path d="M3 14h24l-3.5 6h-17z" />
      <path d="M8 14V9h6v5M14 14V5h6v9" />
      <path d="M2 24c2 0 2-1.5 4.3-1.5S8.6 24 10.7 24s2-1.5 4.3-1.5 2.3 1.5 4.3 1.5 2-1.5 4.3-1.500S25.9 24 28 24" />
    </svg>
  );
}

const headlines = { ok: "All is well", degraded: "Working, but look at this", failing: "Failing: this needs you" } as const;

function Banner({ health, status, nowMs }: { health: Health; status: Status; nowMs: number }) {
  const { state, reasons } = health;
  const many = reasons.length > 1 ? `: ${reasons.length} reasons` : "";
  return (
    <div class={`card banner ${tones[state]}`}>
      <h1 role="status">
        <StateIcon state={state} />
        <span>{reasons.length > 1 ? `${state === "failing" ? "Failing" : "Working, but not well"}${many}` : headlines[state]}</span>
      </h1>
      <p>{summary(status)}</p>
      {reasons.length > 0 && (
        <ul class="reasons">
          {reasons.map((reason) => (
            <li>
              <p class="where">
                <strong>
                  <bdi>{shown(reason.component)}</bdi>
                </strong>
                <code>{shown(reason.code)}</code>
                <time datetime={reason.since} title={reason.since}>
                  {heldFor(reason.since, nowMs)}
                </time>
              </p>
              <p class="message">{shown(reason.message)}</p>
              {reason.hint !== "" && (
                <p class="hint">
                  <b>What to do:</b> {shown(reason.hint)}
                </p>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** Not by colour alone: a tick, an exclamation mark, a cross. */
function StateIcon({ state }: { state: Health["state"] }) {
  const paths = { ok: "M7 12.500l3.5 3.500L17 9", degraded: "M12 6.500v6.500M12 17v.1", failing: "M8 8l8 8M16 8l-8 8" } as const;
  return (
    <svg
      width="24"
      height="24"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2.2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <circle cx="12" cy="12" r="10.8" stroke-width="1.8" />
      <path d={paths[state]} />
    </svg>
  );
}

/** Where the records are, in one sentence that holds in every state. */
function summary(status: Status): string {
  const sources = Object.values(status.sources);
  const sinks = Object.values(status.sinks);
  const waitingToRead = sources.reduce((sum, source) => sum + source.lag_bytes, 0);
  const records = Math.max(0, ...sinks.map((sink) => sink.lag_records));
  const lag = Math.max(0, ...sinks.map((sink) => sink.lag_bytes));
  const read = sources.reduce((sum, source) => sum + source.records, 0);
  const parts: string[] = [];
  if (waitingToRead > 0) parts.push(`${bytes(waitingToRead)} still to be read.`);
  if (records > 0 || lag > 0) parts.push(`${counted(records, "record")} (${bytes(lag)}) in the spool on the way to the sinks.`);
  if (parts.length > 0) return parts.join(" ");
  return read === 0 && status.spool.last_sequence < status.spool.first_sequence
    ? "Nothing has been read yet."
    : "Every record in the spool has been delivered.";
}
