/**
 * The kinds of corpus. Every line carries a number that counts its file's lines from 0, where a real line carries one (request id,
 * process id), so that whoever reads them at the far end can say which are missing and which came twice.
 */
import { createAccess } from "./access.ts";
import { createApp } from "./app.ts";
import type { Line } from "./line.ts";
import { createLong } from "./long.ts";
import { Random } from "./random.ts";
import { createSyslog } from "./syslog.ts";
import { createTraces } from "./traces.ts";

export interface Kind {
  /** The line's number is what follows the first `marker` in it, in decimal digits. */
  readonly marker: string;
  /** `times` gives wall milliseconds that never go back; the default starts on a fixed day and moves on at 3,000 lines a second. */
  create(random: Random, times?: () => number): Line;
}

export const kindNames = ["access", "json", "syslog", "long", "traces"] as const;
export type KindName = (typeof kindNames)[number];

const startMs = Date.UTC(2026, 10, 23, 1, 30, 20);

function moving(random: Random): () => number {
  let ms = startMs;
  return () => (ms += random.exponential(1 / 3));
}

export const kinds: Record<KindName, Kind> = {
  access: { marker: " rid=", create: (random, times = moving(random)) => createAccess(random, times) },
  json: { marker: "req-", create: (random, times = moving(random)) => createApp(random, times) },
  long: { marker: "#", create: (random, times = moving(random)) => createLong(random, times) },
  traces: { marker: "[#", create: (random, times = moving(random)) => createTraces(random, times) },
  syslog: { marker: "[", create: (random, times = moving(random)) => createSyslog(random, times) },
};

export function isKindName(name: string): name is KindName {
  return (kindNames as readonly string[]).includes(name);
}
