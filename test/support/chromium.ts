/**
 * A real browser for a test, driven over the DevTools protocol: `await using browser = await startChromium()`.
 *
 * Promises: a profile of its own, gone afterwards; no traffic of its own; what a page logs as an error, throws or breaks of its
 * policy is gathered in `problems`.
 */
import { ensureChromium } from "../../tool/packages.ts";
import { startProcess } from "./process.ts";
import { scratch } from "./scratch.ts";
import { until } from "./until.ts";

export interface Browser extends AsyncDisposable {
  open(url: string, options?: PageOptions): Promise<Page>;
}

export interface PageOptions {
  /** Of the window, in CSS pixels; 1440 by 900 as a rule. */
  width?: number;
  height?: number;
  scheme?: "light" | "dark";
  /** False: the page runs no script. */
  script?: boolean;
}

export interface Page {
  /** What went wrong in the page so far. */
  readonly problems: readonly string[];
  /** The value of a JavaScript expression in the page, its promise awaited. Rejects when it throws. */
  evaluate<T>(expression: string): Promise<T>;
  /** The text a reader sees, runs of white space as one blank. */
  text(): Promise<string>;
  press(key: string): Promise<void>;
  /** PNG of the window. */
  screenshot(): Promise<Uint8Array>;
  close(): Promise<void>;
}

const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--remote-debugging-port=0",
];

/** Starts it. Rejects with what to do when there is no Chromium. */
export async function startChromium(): Promise<Browser> {
  const executable = await ensureChromium();
  const profile = await scratch();
  const started = startProcess([executable, ...flags, `--user-data-dir=${profile.path}`, "about:blank"]);
  const address = await until(() => /DevTools listening on (ws:\S+)/.exec(started.stderr())?.[1], "chromium says where it listens");
  const wire = await connect(address);
  return {
    open: (url, options = {}) => openPage(wire, url, options),
    async [Symbol.asyncDispose]() {
      // Asked to close it takes its helpers along; killed, they would still write into the profile we remove.
      await Promise.race([wire.send("Browser.close").catch(() => {}), started.exited]);
      await started.exited;
      await profile[Symbol.asyncDispose]();
    },
  };
}

type Params = Record<string, unknown>;

interface Wire {
  send(method: string, params?: Params, session?: string): Promise<Params>;
  onEvent(session: string, listener: (method: string, params: Params) => void): void;
}

interface Message {
  id?: number;
  sessionId?: string;
  method?: string;
  params?: Params;
  result?: Params;
  error?: { message: string };
}

async function connect(address: string): Promise<Wire> {
  const socket = new WebSocket(address);
  const waiting = new Map<number, { resolve: (result: Params) => void; reject: (cause: Error) => void }>();
  const listeners = new Map<string, (method: string, params: Params) => void>();
  let last = 0;
  socket.addEventListener("message", (event) => {
    const message = JSON.parse(String(event.data)) as Message;
    if (message.id === undefined) {
      listeners.get(message.sessionId ?? "")?.(message.method ?? "", message.params ?? {});
      return;
    }
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) call?.resolve(message.result ?? {});
    else call?.reject(new Error(message.error.message));
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener("open", () => resolve());
    socket.addEventListener("error", () => reject(new Error(`no connection to ${address}`)));
  });
  return {
    send(method, params = {}, sessionId) {
      const id = ++last;
      const { promise, resolve, reject } = Promise.withResolvers<Params>();
      waiting.set(id, { resolve, reject });
      socket.send(JSON.stringify({ id, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
      return promise;
    },
    onEvent: (session, listener) => listeners.set(session, listener),
  };
}

async function openPage(wire: Wire, url: string, { width = 1440, height = 900, scheme = "light", script = true }: PageOptions): Promise<Page> {
  const { targetId } = await wire.send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await wire.send("Target.attachToTarget", { targetId, flatten: true });
  const session = String(sessionId);
  const send = (method: string, params: Params = {}): Promise<Params> => wire.send(method, params, session);
  const problems: string[] = [];
  let loaded = false;
  wire.onEvent(session, (method, params) => {
    if (method === "Page.loadEventFired") loaded = true;
    const problem = problemOf(method, params);
    if (problem !== undefined) problems.push(problem);
  });
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`);
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: scheme }] });
  if (!script) await send("Emulation.setScriptExecutionDisabled", { value: true });
  await send("Page.navigate", { url });
  await until(() => loaded, `${url} is loaded`);

  const evaluate = async <T>(expression: string): Promise<T> => {
    const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer["exceptionDetails"] !== undefined) throw new Error(`${expression}: ${JSON.stringify(answer["exceptionDetails"])}`);
    return (answer["result"] as { value: T }).value;
  };
  return {
    problems,
    evaluate,
    text: async () => (await evaluate<string>("document.body.innerText")).replace(/\s+/g, " "),
    async press(key) {
      await send("Input.dispatchKeyEvent", { type: "keyDown", key, code: key, windowsVirtualKeyCode: key === "Tab" ? 9 : 13 });
      await send("Input.dispatchKeyEvent", { type: "keyUp", key, code: key });
    },
    screenshot: async () => Buffer.from(String((await send("Page.captureScreenshot", { captureBeyondViewport: true }))["data"]), "base64"),
    async close() {
      await wire.send("Target.closeTarget", { targetId });
    },
  };
}

/** Errors in the console, exceptions, and what the browser itself reports: breaches of the policy, answers that are errors. */
function problemOf(method: string, params: Params): string | undefined {
  if (method === "Runtime.exceptionThrown") return JSON.stringify(params["exceptionDetails"]);
  if (method === "Runtime.consoleAPICalled" && ["error", "warning", "assert"].includes(String(params["type"]))) return JSON.stringify(params["args"]);
  if (method !== "Log.entryAdded") return undefined;
  const entry = params["entry"] as { level: string; text: string; url?: string };
  return entry.level === "error" || entry.level === "warning" ? `${entry.text} ${entry.url ?? ""}` : undefined;
}
