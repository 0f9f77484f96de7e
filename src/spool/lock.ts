/**
 * One process owns a spool, by a kernel lock that dies with it: SQLite's exclusive lock on an empty file of its own.
 * A pid file fails in containers, where every process is number 1. The handle must stay referenced, since a collected
 * one gives the lock up, and the file is opened in no other way (closing any other descriptor of it would free the lock).
 */
import { Database } from "bun:sqlite";
import { Fault } from "../core/fault.ts";

/** Takes the lock or throws Fault `spool_locked` (never). Disposing gives it back. */
export type TakeLock = (path: string) => Disposable;

export const takeLock: TakeLock = (path) => {
  let database: Database;
  try {
    database = new Database(path, { create: true });
    database.run("PRAGMA journal_mode = MEMORY");
    database.run("BEGIN EXCLUSIVE");
  } catch (cause) {
    const busy = (cause as { code?: string }).code === "SQLITE_BUSY";
    throw new Fault({
      code: busy ? "spool_locked" : "spool_unusable",
      retry: "never",
      message: busy ? `open spool: ${path} is held by another logferry` : `open spool: lock ${path}`,
      hint: busy ? "stop the other instance, or give this one a spool.dir of its own" : "make the folder writable for the user logferry runs as",
      ...(busy ? {} : { cause }),
    });
  }
  return { [Symbol.dispose]: () => database.close() };
};
