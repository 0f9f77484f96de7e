/** The page as the server renders it; how a browser shows it is tested in test/browser. */
import { expect, test } from "bun:test";
import { degradedView, emptyView, failingView, okView, type ShownView } from "../../test/support/view.ts";
import { systemClock } from "../core/clock.ts";
import { createPage, pageHeaders } from "./page.tsx";

async function pageOf(view: ShownView): Promise<string> {
  return String(await createPage(view, systemClock)());
}

/** What a reader sees: the text without tags, style and script. */
function textOf(page: string): string {
  return page
    .replace(/<(style|script)>.*?<\/\1>/gs, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");
}

test("tells in words how it is, and what to do", async () => {
  expect(textOf(await pageOf(okView(Date.now())))).toContain(
    "All is well 17.8 KiB still to be read. 463,108 records (27 MiB) in the spool on the way to the sinks.",
  );
  const degraded = textOf(await pageOf(degradedView(Date.now())));
  expect(degraded).toContain("Working, but not well: 2 reasons");
  expect(degraded).toContain("What to do: let the user logferry read this file");
  const failing = textOf(await pageOf(failingView(Date.now())));
  expect(failing).toContain("Failing: 2 reasons");
  expect(failing).toContain("100 % full: sources wait");
});

test("the first minute shows nothing as nothing", async () => {
  const text = textOf(await pageOf(emptyView()));
  expect(text).toContain("Nothing has been read yet.");
  expect(text).toContain("no segments, at most 2 GiB");
  expect(text).not.toMatch(/NaN|undefined|null|Infinity| -1\b/);
});

test("has the numbers without script: sources, spool and sinks", async () => {
  const text = textOf(await pageOf(okView(Date.now())));
  for (const part of [
    "12,480,113",
    "402 MiB",
    "http · http://0.0.0.0:8080/v1/records",
    "sequence 12,901,220 to 13,773,112",
    "13,310,004",
    "463,108 records",
    "3 retries",
  ]) {
    expect(text).toContain(part);
  }
});

test("a backlog says how long it will take, and files that are not read are counted", async () => {
  const view = okView(Date.now());
  Object.assign(view.current.status.sources["nginx"]!, {
    lag_bytes: 3 * 2 ** 30,
    backlog: { bytes_left: 3 * 2 ** 30, bytes_per_second: 10 * 2 ** 20, seconds_left: 308 },
    file_states: { reading: 1, unreadable: 2, refused: 40 },
  });
  const text = textOf(await pageOf(view));
  expect(text).toContain("3 GiB about 5 min 8 s");
  expect(text).toContain("file · 1 file · 42 not read");
});

test("shows hostile names, paths and messages as text", async () => {
  const hostile = `<img src=x onerror=alert(1)>"'</script><script>alert(2)</script>`;
  const view = okView(Date.now());
  const { status, reasons } = view.current;
  status.state = "degraded";
  status.host = hostile;
  status.version = hostile;
  status.sources[hostile] = { ...status.sources["nginx"]!, type: hostile, listen: hostile };
  status.sinks[hostile] = { ...status.sinks["central"]!, last_fault: { code: hostile, message: hostile, hint: hostile, time: hostile } };
  reasons.push({ component: hostile, code: hostile, message: hostile, hint: hostile, since: hostile });
  const page = await pageOf(view);
  expect(page).not.toContain("<img");
  expect(page.split("<script>")).toHaveLength(2);
  expect(page).toContain("&lt;img src=x onerror=alert(1)&gt;");
  // Nothing got out of an attribute either: every tag is a name and attributes whose values stand in quotes.
  const tags = page.replace(/<(style|script)>.*?<\/\1>/gs, "").match(/<[^/!][^>]*>/g) ?? [];
  expect(tags.length).toBeGreaterThan(100);
  for (const tag of tags) expect(tag).toMatch(/^<[a-z][a-z0-9]*( [a-zA-Z-]+(="[^"]*")?)*\s*\/?>$/);
});

test("its policy lets nothing run but its own script", () => {
  const policy = pageHeaders["content-security-policy"] ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toMatch(/script-src 'sha256-[A-Za-z0-9+/=]{44}';/);
  expect(policy).not.toContain("unsafe");
});
