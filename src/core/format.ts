/** What a source's configuration says about its lines: keys `format`, `data_as`, `timestamp`, `multiline`, as validation leaves them. */

export const formats = ["plain", "json", "cri", "docker", "logfmt"] as const;
export type Format = (typeof formats)[number];

export const presets = ["java", "python", "go", "ruby", "node"] as const;
export type Preset = (typeof presets)[number];

/** Times that have a name; anything else is a strptime pattern. */
export const timeNames = ["rfc3339", "clf", "syslog", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns"] as const;

export interface TimestampKeys {
  /** One of `timeNames`, or a strptime pattern. */
  readonly format: string;
  /** Key of the outermost object that holds the time: formats json and logfmt. */
  readonly key?: string | undefined;
  /** The time stands behind the first of these in the line; else at its begin. */
  readonly after?: string | undefined;
  /** IANA zone of times that say none; `local` is this machine's. Undefined: UTC, but rfc3339 then needs a zone of its own. */
  readonly zone?: string | undefined;
}

/** A preset, or patterns (regular expressions) and bounds. */
export interface MultilineKeys {
  readonly preset?: Preset | undefined;
  readonly start?: string | undefined;
  readonly continue?: string | undefined;
  readonly end?: string | undefined;
  readonly lines_max: number;
  readonly bytes_max: number;
  /** Milliseconds after which an event ends when nothing more came. */
  readonly timeout: number;
}

export interface LineKeys {
  readonly format?: Format;
  readonly data_as?: "object" | "string";
  readonly timestamp?: TimestampKeys | undefined;
  readonly multiline?: MultilineKeys | undefined;
}

/** Containers write the rest of a line within milliseconds; one whose writer has died is not waited for longer. */
const joinMs = 5000;

/** Milliseconds after which a record that may go on ends when nothing more comes; undefined: every line is a record. */
export function spanTimeout({ format, multiline }: LineKeys): number | undefined {
  if (multiline !== undefined) return multiline.timeout;
  return format === "cri" || format === "docker" ? joinMs : undefined;
}
