/** Reads the JUnit report of `bun test`. Bun leaves out files that failed to load: whoever was asked and is not there has failed. */

export interface Counts {
  passed: number;
  failed: number;
}

/**
 * Sums a report (empty when there is none) over the `files` that were to run, paths relative to the checkout.
 * A skipped test is neither passed nor failed. `missing` are the files without a suite, each counted as one failure.
 */
export function readReport(xml: string, files: readonly string[]): Counts & { missing: string[] } {
  const total = /<testsuites [^>]*>/.exec(xml)?.[0] ?? "";
  const number = (name: string): number => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(total)?.[1] ?? 0);
  const reported = new Set([...xml.matchAll(/<testsuite [^>]*\bfile="([^"]+)"/g)].map((match) => match[1]));
  const missing = files.filter((file) => !reported.has(file));
  const failures = number("failures");
  return { passed: number("tests") - failures - number("skipped"), failed: failures + missing.length, missing };
}
