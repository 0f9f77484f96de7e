/** Which build this is: stamped by build.ts, `dev` when run from the sources. */

declare const LOGFERRY_VERSION: string | undefined;
declare const LOGFERRY_COMMIT: string | undefined;
declare const LOGFERRY_TARGET: string | undefined;

/** As in package.json, such as `0.1.0`. */
export const version: string = typeof LOGFERRY_VERSION === "string" ? LOGFERRY_VERSION : "dev";

/** The git commit, 40 hex digits, with `-dirty` behind it where the tree differed; `unknown` outside a git checkout. */
export const commit: string = typeof LOGFERRY_COMMIT === "string" ? LOGFERRY_COMMIT : "dev";

/** The platform it was built for: `linux-x64`, `linux-arm64-musl`, `darwin-arm64`. */
export const target: string = typeof LOGFERRY_TARGET === "string" ? LOGFERRY_TARGET : `${process.platform}-${process.arch}`;
