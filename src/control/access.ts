/**
 * Who may ask: the name a request calls us by, and the token that opens what changes something.
 *
 * Promises: a page of a foreign site cannot read this machine's status through the visitor's browser, not even by pointing
 * its own name at 127.0.0.1 (DNS rebinding); a token is compared in constant time and read again when its file changes.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import type { Disk } from "../core/disk.ts";
import { openSecret } from "../core/secret.ts";

/**
 * True when the `Host` header of a request over TCP names us in a way no foreign site can: by IP address, `localhost`, or one of
 * `names` (the listen host, the machine's name). Without the header it is no browser.
 */
export function hostAllowed(header: string | null, names: readonly string[]): boolean {
  if (header === null) return true;
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(header);
  if (match === null) return false;
  const host = (match[1] ?? match[2] ?? "").toLowerCase();
  return isIP(host) !== 0 || host === "localhost" || names.some((name) => name.toLowerCase() === host);
}

/** What a request may do: change something, or why not. */
export type Grant = "granted" | "missing" | "wrong";

/** Judges an `Authorization` header. */
export type TokenCheck = (authorization: string | null) => Promise<Grant>;

/**
 * The check for the token in the file at `path`; without a path no token opens anything ("missing").
 * Rejects with Fault `secret_unreadable` when the file cannot be read at the start. When it cannot be read later, the token read
 * last stays good: replacing the file must not lock the operator out.
 */
export async function openToken(path: string | undefined, disk: Disk): Promise<TokenCheck> {
  if (path === undefined) return () => Promise.resolve("missing");
  const secret = openSecret(disk, path);
  let token = await secret.read();
  return async (authorization) => {
    if (authorization === null) return "missing";
    const given = /^Bearer +(.+)$/i.exec(authorization.trim())?.[1];
    if (given === undefined) return "wrong";
    token = await secret.read().catch(() => token);
    return timingSafeEqual(digestOf(given), digestOf(token)) ? "granted" : "wrong";
  };
}

/** Equal in length for any two tokens, as the comparison in constant time needs. */
function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
