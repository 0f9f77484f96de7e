/** The executable on the ways to a Loki that there are: through an HTTP proxy, with certificates of both sides, behind gateways. */
import { expect, test } from "bun:test";
import { executable, writeConfig } from "../support/logferry.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { serveLoki } from "../support/loki/server.ts";
import { startProcess } from "../support/process.ts";
import { startProxy } from "../support/proxy.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { testTls } from "../support/tls.ts";
import { until } from "../support/until.ts";
import type { Status } from "../../src/core/view.ts";

const quick = { type: "loki", query: '{app="web"}', tenant: "t1", start: "1h", settle: "1s", sweep_interval: "300ms" };

/** Runs until the tail is up and both `lines` have come, one that was there and one that the tail brings. */
async function reads(dir: Scratch, fake: FakeLoki, source: object, env: Record<string, string | undefined> = {}): Promise<void> {
  const config = await writeConfig(dir.path, {
    sources: { web: { ...quick, ...source } },
    sinks: { out: { type: "directory", dir: dir.join("out") } },
  });
  const now = (): string => `${Date.now()}000000`;
  fake.push([{ stream: { app: "web" }, values: [[now(), "before"]] }]);
  await using running = startProcess([executable, "run", "--config", config], { env: { NO_PROXY: undefined, no_proxy: undefined, ...env } });
  const web = async () => ((await (await fetch("http://x/status", { unix: dir.join("control.sock") })).json()) as Status).sources["web"];
  await until(async () => (await web())?.tail === "up" && (await web())?.records === 1, "the tail is up, the first is there");
  fake.push([{ stream: { app: "web" }, values: [[now(), "by the tail"]] }]);
  await until(async () => (await web())?.records === 2, "the second is there");
  expect(await running.stop()).toBe(0);
}

function served(tls?: Parameters<typeof serveLoki>[1]): { fake: FakeLoki; server: ReturnType<typeof serveLoki> } {
  const fake = new FakeLoki();
  fake.limits.tickMs = 20;
  return { fake, server: serveLoki(fake, tls) };
}

test("HTTPS_PROXY: tail and queries over TLS go through CONNECT, with the proxy's password, and never past it", async () => {
  await using dir = await scratch();
  await using proxy = await startProxy({ user: "edge", password: "s3cret" });
  const { fake, server } = served(testTls.server);
  await using _ = server;
  await Bun.write(dir.join("ca.pem"), testTls.ca);
  await reads(dir, fake, { url: server.url, tls: { ca_file: dir.join("ca.pem") } }, { HTTPS_PROXY: proxy.url });
  expect(new Set(proxy.asked)).toEqual(new Set([`CONNECT ${new URL(server.url).host}`]));
  // A connection for queries, one for the tail.
  expect(proxy.asked.length).toBeGreaterThan(1);
}, 60_000);

test("HTTP_PROXY: without TLS as well; NO_PROXY goes past it", async () => {
  await using dir = await scratch();
  await using proxy = await startProxy();
  const { fake, server } = served();
  await using _ = server;
  await reads(dir, fake, { url: server.url }, { HTTP_PROXY: proxy.url });
  expect(proxy.asked.some((one) => one.includes("/loki/api/v1/query_range"))).toBe(true);
  expect(proxy.asked.some((one) => one.startsWith("CONNECT ") || one.includes("/loki/api/v1/tail"))).toBe(true);
  const before = proxy.asked.length;
  await using other = await scratch();
  const direct = served();
  await using directServer = direct.server;
  await reads(other, direct.fake, { url: directServer.url }, { HTTP_PROXY: proxy.url, NO_PROXY: "127.0.0.1" });
  expect(proxy.asked.length).toBe(before);
}, 90_000);

test("own CA and a client certificate: the tail shows it too; without one nothing is read, and the source says so", async () => {
  await using dir = await scratch();
  const { fake, server } = served({ ...testTls.server, ca: testTls.ca, requestCert: true, rejectUnauthorized: true });
  await using _ = server;
  await Bun.write(dir.join("ca.pem"), testTls.ca);
  await Bun.write(dir.join("client.pem"), testTls.client.cert);
  await Bun.write(dir.join("client.key"), testTls.client.key);
  const tls = { ca_file: dir.join("ca.pem"), cert_file: dir.join("client.pem"), key_file: dir.join("client.key") };
  await reads(dir, fake, { url: server.url, tls });
  expect(fake.asked.length).toBeGreaterThan(0);
  const before = fake.asked.length;
  const config = await writeConfig(dir.path, {
    sources: { web: { ...quick, url: server.url, tls: { ca_file: dir.join("ca.pem") } } },
    sinks: { out: { type: "directory", dir: dir.join("out") } },
  });
  await using checked = startProcess([executable, "check", "--config", config]);
  expect(await checked.exited).toBe(1);
  expect(checked.stdout() + checked.stderr()).toContain("loki_unreachable");
  expect(fake.asked.length).toBe(before);
}, 60_000);

test.each(["", "/", "/gateway", "/gateway/", "/a/b//"])(
  "a gateway at %p without /ready: basic credentials, tenant and flags on every way",
  async (path) => {
    await using dir = await scratch();
    const { fake, server } = served();
    await using _ = server;
    await Bun.write(dir.join("password"), "s3cret\n");
    await reads(dir, fake, { url: `${server.url}${path}`, basic: { username: "edge", password_file: dir.join("password") } });
    const base = path.replace(/\/+$/, "");
    expect(fake.asked.every(({ path: asked }) => asked.startsWith(`${base}/loki/api/v1/`))).toBe(true);
    const basic = `Basic ${Buffer.from("edge:s3cret").toString("base64")}`;
    const headers = [...fake.asked, ...fake.shaken].map((one) => one.headers);
    expect(headers.every((one) => one["authorization"] === basic && one["x-scope-orgid"] === "t1")).toBe(true);
    expect(headers.every((one) => one["x-loki-response-encoding-flags"] === "categorize-labels")).toBe(true);
  },
  60_000,
);
