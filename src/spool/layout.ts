/** Where things lie in a spool's folder. */

export interface Layout {
  readonly dir: string;
  readonly identity: string;
  readonly lock: string;
  readonly reserve: string;
  readonly segments: string;
  readonly table: string;
  readonly positions: readonly [string, string];
  readonly sinks: string;
  /** A folder for each source whose state is too large for a position. */
  readonly sources: string;
  readonly quarantine: string;
}

export function layoutOf(dir: string): Layout {
  return {
    dir,
    identity: `${dir}/spool.json`,
    lock: `${dir}/lock`,
    reserve: `${dir}/reserve`,
    segments: `${dir}/segments`,
    table: `${dir}/segments.table`,
    positions: [`${dir}/positions.a`, `${dir}/positions.b`],
    sinks: `${dir}/sinks`,
    sources: `${dir}/sources`,
    quarantine: `${dir}/quarantine`,
  };
}

/** `0000000000000042.zst`: names sort as numbers do. */
export function segmentName(number: number): string {
  return `${String(number).padStart(16, "0")}.zst`;
}

/** The number of a segment file's name, or undefined for a foreign file. */
export function segmentNumber(name: string): number | undefined {
  return /^\d{16}\.zst$/.test(name) ? Number(name.slice(0, 16)) : undefined;
}
