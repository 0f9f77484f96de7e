/**
 * Tests that need a right which no package gives: to mount, to make a namespace, to attach a loop device.
 *
 * Promises: where the machine refuses it, the test run says so in a line nobody overlooks, with what the machine said and
 * how to get it; with LOGFERRY_PRIVILEGED_TESTS=required, as in a CI that has to have it, that is a failure.
 */

/** True when `what` cannot be tried here, said aloud; `missing` is the machine's own word, undefined when it can. */
export function leftOut(what: string, missing: string | undefined): boolean {
  if (missing === undefined) return false;
  const words = `${what}: this machine cannot do it: ${missing}. Run the tests as root with CAP_SYS_ADMIN (a container: --privileged)`;
  if (process.env["LOGFERRY_PRIVILEGED_TESTS"] === "required") throw new Error(words);
  process.stderr.write(`\n!!! LEFT OUT: ${words}\n\n`);
  return true;
}
