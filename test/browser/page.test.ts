/** The page in a real browser: what a person sees, on a telephone and on a screen, by day and by night. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openControl, type Control } from "../../src/control/control.ts";
import { createBoard } from "../../src/core/board.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { startChromium, type Browser, type PageOptions } from "../support/chromium.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { degradedView, emptyView, failingView, okView, type ShownView } from "../support/view.ts";
import { measureContrast } from "./contrast.ts";

let browser: Browser;
let dir: Scratch;
beforeAll(async () => {
  [browser, dir] = await Promise.all([startChromium(), scratch()]);
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

async function serve(view: ShownView, port = 0): Promise<Control & AsyncDisposable> {
  const board = createBoard(silent, () => Date.now());
  const config = { listen: { host: "127.0.0.1", port } };
  const control = await openControl({ config, socketPath: dir.join("control.sock"), view, doors: systemDoors, log: silent, board });
  return { ...control, [Symbol.asyncDispose]: () => control.close(0) };
}

const views: readonly (readonly [name: string, make: (nowMs: number) => ShownView])[] = [
  ["ok", okView],
  ["degraded", degradedView],
  ["failing", failingView],
  ["empty", emptyView],
];

test("shows state, sources, spool and sinks, and breaks nothing on the way", async () => {
  await using control = await serve(degradedView(Date.now()));
  const page = await browser.open(control.address);
  const text = await page.text();
  for (const part of [
    "edge-1",
    "5 h 23 min",
    "0.1.0",
    "Working, but not well: 2 reasons",
    "file_permission_denied",
    "What to do: let the user logferry read this file",
  ]) {
    expect(text).toContain(part);
  }
  for (const part of ["12,480,113", "213 MiB of 2 GiB", "sequence 12,901,220 to 13,773,112", "463,108 records", "27 retries"])
    expect(text).toContain(part);
  expect(await page.evaluate<string>("document.title")).toBe("degraded · edge-1 · logferry");
  expect(page.problems).toEqual([]);
  await page.close();
});

test("follows the numbers by itself, with rates, and keeps what the reader has marked", async () => {
  const view = okView(Date.now());
  await using control = await serve(view);
  const page = await browser.open(control.address);
  await page.evaluate("getSelection().selectAllChildren(document.querySelector('#top dd')), window.before = document.querySelector('table')");
  view.onLook = (status) => (status.sources["nginx"]!.records += 1000);
  const text = await until(async () => /[1-9][\d,.]*\/s records read/.test(await page.text()) && page.text(), "a rate is shown");
  expect(text).not.toContain("12,480,113");
  expect(await page.evaluate<boolean>("window.before === document.querySelector('table')")).toBe(true);
  expect(await page.evaluate<string>("String(getSelection())")).toBe("edge-1");
  Object.assign(view.current.status, failingView(Date.now()).current.status);
  view.current.reasons = failingView(Date.now()).current.reasons;
  await until(async () => (await page.text()).includes("Failing: 2 reasons"), "the new state is shown");
  expect(await page.evaluate<string>("document.title")).toBe("failing · edge-1 · logferry");
  expect(page.problems).toEqual([]);
  await page.close();
});

test("says when no answer comes any more, and goes on when one does", async () => {
  const view = okView(Date.now());
  const first = await serve(view);
  const page = await browser.open(first.address);
  await first.close(0);
  await until(async () => (await page.text()).includes("No answer since"), "the loss is shown");
  expect(await page.text()).toContain("12,480,113");
  view.current.status.sources["nginx"]!.records = 12_999_999;
  await using second = await serve(view, Number(new URL(first.address).port));
  expect(second.address).toBe(first.address);
  await until(async () => (await page.text()).includes("12,999,999"), "the numbers go on");
  expect(await page.text()).not.toContain("No answer since");
  await page.close();
});

test("shows hostile names as the text they are, at the first look and after a refresh", async () => {
  const hostile = `<img src=x onerror="window.hacked=1"><script>window.hacked=2</script>`;
  const view = okView(Date.now());
  const { status, reasons } = view.current;
  status.state = "degraded";
  status.sources[hostile] = { ...status.sources["nginx"]!, listen: hostile };
  reasons.push({
    component: `sources.${hostile}`,
    code: "file_unreadable",
    message: `open /var/log/${hostile}\u202egol: denied`,
    hint: hostile,
    since: status.sinks["lake"]!.last_success_time!,
  });
  await using control = await serve(view);
  const page = await browser.open(control.address);
  expect(await page.text()).toContain(hostile);
  status.sources[`"'>${hostile}`] = status.sources[hostile];
  await until(async () => (await page.text()).includes(`"'>${hostile}`), "the second name is shown");
  expect(await page.evaluate<[unknown, number, number]>("[window.hacked ?? null, document.images.length, document.scripts.length]")).toEqual([
    null,
    0,
    1,
  ]);
  expect(page.problems).toEqual([]);
  await page.close();
});

test("reads the same without script, and reloads itself", async () => {
  await using control = await serve(okView(Date.now()));
  const page = await browser.open(control.address, { script: false });
  const text = await page.text();
  for (const part of ["All is well", "12,480,113", "213 MiB of 2 GiB", "13,310,004"]) expect(text).toContain(part);
  expect(await page.evaluate<string>("document.querySelector('noscript meta')?.content")).toBe("5");
  await page.close();
});

test("every link is reached by the keyboard, and the focus is seen", async () => {
  await using control = await serve(okView(Date.now()));
  const page = await browser.open(control.address);
  const reached: string[] = [];
  for (let step = 0; step < 3; step++) {
    await page.press("Tab");
    reached.push(await page.evaluate<string>("document.activeElement.getAttribute('href')"));
    expect(await page.evaluate<string>("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
  }
  expect(reached).toEqual(["/status", "/metrics", "/health"]);
  await page.close();
});

describe("on every screen, by day and by night", () => {
  for (const [name, make] of views) {
    for (const options of [375, 768, 1440].flatMap((width) => (["light", "dark"] as const).map((scheme): PageOptions => ({ width, scheme })))) {
      test(`${name} at ${options.width} px in ${options.scheme}: nothing sticks out, all text has contrast`, async () => {
        const view = make(Date.now());
        view.current.status.host = "ip-10-20-30-40.eu-central-1.compute.internal.a-name-without-any-place-to-break-it.example.com";
        await using control = await serve(view);
        const page = await browser.open(control.address, options);
        const { scrollWidth, clientWidth } = await page.evaluate<{ scrollWidth: number; clientWidth: number }>(
          "(({ scrollWidth, clientWidth }) => ({ scrollWidth, clientWidth }))(document.documentElement)",
        );
        expect(scrollWidth).toBe(clientWidth);
        expect(clientWidth).toBeLessThanOrEqual(options.width!);
        const poor = await measureContrast(page);
        expect(poor.measured).toBeGreaterThan(40);
        expect(poor.below).toEqual([]);
        const ground = await page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
        expect(ground).toBe(options.scheme === "dark" ? "rgb(14, 19, 24)" : "rgb(243, 245, 247)");
        expect(page.problems).toEqual([]);
        await page.close();
      });
    }
  }
});
