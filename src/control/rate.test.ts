/** Rates between two looks. */
import { expect, test } from "bun:test";
import { emptyView } from "../../test/support/view.ts";
import { RateWatch, sumOf } from "./rate.ts";

function statusWith(records: number, bytes: number) {
  const { status } = emptyView().current;
  Object.assign(status.sources["nginx"]!, { records, bytes });
  return status;
}

test("the first look knows no rate, the second one does", () => {
  const watch = new RateWatch();
  expect(watch.look(statusWith(100, 1000), 0).sources.size).toBe(0);
  expect(watch.look(statusWith(300, 3000), 2000).sources.get("nginx")).toEqual({ records: 100, bytes: 1000 });
});

test("several people looking at once do not shorten the window for each other", () => {
  const watch = new RateWatch();
  watch.look(statusWith(0, 0), 0);
  for (let ms = 100; ms < 2000; ms += 100) watch.look(statusWith(ms, 0), ms);
  expect(watch.look(statusWith(2000, 0), 2000).sources.get("nginx")?.records).toBe(1000);
});

test("what was seen long ago is history: the rate begins anew", () => {
  const watch = new RateWatch();
  watch.look(statusWith(0, 0), 0);
  expect(watch.look(statusWith(1e6, 0), 3_600_000).sources.size).toBe(0);
  expect(watch.look(statusWith(1e6 + 10, 0), 3_601_000).sources.get("nginx")?.records).toBe(10);
});

test("a counter that begins anew gives no negative rate, and a new name none at all", () => {
  const watch = new RateWatch();
  watch.look(statusWith(500, 500), 0);
  const status = statusWith(5, 5);
  status.sources["late"] = { ...status.sources["nginx"]!, records: 7 };
  const rates = watch.look(status, 1000).sources;
  expect(rates.get("nginx")?.records).toBe(0);
  expect(rates.has("late")).toBe(false);
});

test("sumOf adds up what is known", () => {
  expect(sumOf(new Map())).toBeUndefined();
  expect(
    sumOf(
      new Map([
        ["a", { records: 1, bytes: 10 }],
        ["b", { records: 2, bytes: 20 }],
      ]),
    ),
  ).toEqual({ records: 3, bytes: 30 });
});
