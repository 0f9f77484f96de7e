/** Aligned columns without lines, which `awk` and people both read. Colour codes take no width. */
import Table from "cli-table3";

type Side = "left" | "right";

const none = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
  ].map((name) => [name, ""]),
);

/** The table as text, each line ended. `sides` says how each column is set; left when it is missing. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], sides: readonly Side[] = []): string {
  const made = new Table({
    head: [...head],
    colAligns: head.map((_, index) => sides[index] ?? "left"),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    chars: { ...none, middle: "  " },
  });
  for (const row of rows) made.push([...row]);
  return `${made.toString().replaceAll(/[ \t]+$/gm, "")}\n`;
}
