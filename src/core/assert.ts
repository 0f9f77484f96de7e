/** Assertions: a broken one is a bug in logferry, ends the process with code 70, and stays on in production. */

/** Thrown by `assert`; main turns it into exit code 70. */
export class Bug extends Error {
  override readonly name = "Bug";
}

/** Throws `Bug` with `message` unless `condition` holds. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Bug(message);
}
