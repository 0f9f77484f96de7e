/**
 * The routes of the control API, as a hono app that knows by which door a request came.
 *
 * Promises: reading never changes anything; what changes something needs the Unix socket or the token; over TCP we answer only
 * to names that are ours; no answer is cached; an unknown path says what there is.
 */
import { Hono, type Context, type MiddlewareHandler } from "hono";
import { Bug } from "../core/assert.ts";
import type { Doors } from "../core/doors.ts";
import { describe } from "../core/fault.ts";
import type { Log } from "../core/log.ts";
import { harmlessJson } from "../core/shown.ts";
import type { View } from "../core/view.ts";
import { hostAllowed, type TokenCheck } from "./access.ts";
import { createMetrics } from "./metrics.ts";

/** `local` is true for what came over the Unix socket. */
export interface Door {
  readonly local: boolean;
}

/** A hono app under `Door`: `app.fetch(request, { local: true })`. */
export type ControlApp = Hono<{ Bindings: Door }>;

export interface RouteOptions {
  readonly view: View;
  readonly doors: Doors;
  readonly log: Log;
  readonly checkToken: TokenCheck;
  /** Names over TCP beside IP addresses and localhost. */
  readonly names: readonly string[];
}

/** What there is, as a 404 lists it. */
const paths = [
  { method: "GET", path: "/", what: "the page for people" },
  { method: "GET", path: "/health", what: "is it well, and if not why: 200 for ok and degraded, 503 for failing" },
  { method: "GET", path: "/live", what: "200 while the process serves" },
  { method: "GET", path: "/ready", what: "200 once sources run and the spool takes data" },
  { method: "GET", path: "/status", what: "sources, spool and sinks in numbers; ?files=all for every file" },
  { method: "GET", path: "/metrics", what: "Prometheus text" },
  { method: "POST", path: "/flush", what: "close every open batch and ship it now; needs the Unix socket or the token" },
] as const;

export function createRoutes({ view, doors, log, checkToken, names }: RouteOptions): ControlApp {
  const app: ControlApp = new Hono();
  const metrics = createMetrics(view, doors);
  const page = pageOnDemand(view, doors);
  const changes = needsGrant(checkToken);

  app.use(async (c, next) => {
    await next();
    c.header("cache-control", "no-store");
    c.header("x-content-type-options", "nosniff");
  });
  app.use(ownNameOnly(checkToken, names));

  app.get("/", async (c) => {
    const { render, headers } = await page();
    return c.html(render(), 200, headers);
  });
  app.get("/live", (c) => c.json({ live: true }));
  app.get("/ready", (c) => {
    const ready = view.ready();
    return c.json({ ready }, ready ? 200 : 503);
  });
  app.get("/health", (c) => {
    const { state, reasons } = view.health();
    return json(c, { state, reasons }, state === "failing" ? 503 : 200);
  });
  app.get("/status", (c) => {
    const files = c.req.query("files");
    if (files !== undefined && !/^(?:all|\d{1,9})$/.test(files)) {
      return json(
        c,
        { code: "control_query_refused", message: "files must be a number or all", hint: "ask for /status?files=all, or leave it out" },
        400,
      );
    }
    return json(c, view.status(files === undefined ? undefined : files === "all" ? Number.POSITIVE_INFINITY : Number(files)));
  });
  app.get("/metrics", async (c) => c.body(await metrics.text(), 200, { "content-type": metrics.contentType }));
  app.post("/flush", changes, (c) => {
    view.flush();
    return c.body(null, 204);
  });

  app.notFound(notFound);
  app.onError((error, c) => {
    // A broken assertion ends the process, whoever asked: thrown where nobody catches it.
    if (error instanceof Bug) {
      queueMicrotask(() => {
        throw error;
      });
    }
    log.error(`${c.req.method} ${c.req.path}: ${describe(error)}`, { component: "control" });
    return c.json({ code: "control_answer_failed", message: "this answer failed; the log says why" }, 500);
  });
  return app;
}

/** Paths and answers of others stand in it, and people look at it with curl on a terminal. */
function json(c: Context, value: object, code: 200 | 400 | 503 = 200): Response {
  return c.body(harmlessJson(JSON.stringify(value)), code, { "content-type": "application/json" });
}

/** The page is loaded when somebody looks at it; from then on it is one page, which remembers the numbers of its last looks. */
function pageOnDemand(view: View, doors: Doors) {
  const load = async () => {
    const { createPage, pageHeaders } = await import("./page.tsx");
    return { render: createPage(view, doors.clock), headers: pageHeaders };
  };
  let page: ReturnType<typeof load> | undefined;
  return () => (page ??= load());
}

/** A valid token passes under any name: a page of a foreign site does not have it. */
function ownNameOnly(checkToken: TokenCheck, names: readonly string[]): MiddlewareHandler<{ Bindings: Door }> {
  return async (c, next) => {
    const host = c.req.header("host") ?? null;
    if (c.env.local || hostAllowed(host, names) || (await checkToken(authorization(c))) === "granted") return next();
    return c.json(
      {
        code: "control_host_refused",
        message: "asked under a name that is not this machine's",
        hint: "ask by IP address, as localhost, by the machine's own name, or with the token of control.token_file",
      },
      421,
    );
  };
}

function needsGrant(checkToken: TokenCheck): MiddlewareHandler<{ Bindings: Door }> {
  return async (c, next) => {
    if (c.env.local) return next();
    const grant = await checkToken(authorization(c));
    if (grant === "granted") return next();
    if (grant === "wrong") {
      return c.json({ code: "control_token_wrong", message: "this token is not the one in control.token_file" }, 401, {
        "www-authenticate": "Bearer",
      });
    }
    return c.json(
      {
        code: "control_token_missing",
        message: "this changes the running instance",
        hint: "ask over the Unix socket, or with the token of control.token_file as bearer token",
      },
      403,
    );
  };
}

function authorization(c: Context): string | null {
  return c.req.header("authorization") ?? null;
}

function notFound(c: Context): Response {
  const known = paths.filter((each) => each.path === c.req.path).map((each) => (each.method === "GET" ? "GET, HEAD" : each.method));
  if (known.length > 0) {
    return c.json({ code: "control_method_refused", message: `${c.req.path} answers ${known.join(", ")}` }, 405, { allow: known.join(", ") });
  }
  return c.json({ code: "control_path_unknown", message: "there is nothing at this path", paths }, 404);
}
