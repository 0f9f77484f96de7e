/** A record's time, exactly: whole seconds since 1970 and nanoseconds, as Loki's protobuf has it. */

export interface Time {
  readonly seconds: number;
  readonly nanos: number;
}

/** `exact`: it was written with more than six digits. */
export interface ReadTime extends Time {
  readonly exact: boolean;
}

const none: ReadTime = { seconds: 0, nanos: 0, exact: true };

/** Reads RFC 3339 times. The seconds of the last one are kept, since records come in runs. */
export class Times {
  #prefix = "";
  #zone = "";
  #seconds = 0;

  /** 1970 for what is no time: Loki refuses it as too old, and so it is counted. Digits beyond nanoseconds are cut off. */
  read(text: string): ReadTime {
    const match = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/.exec(text);
    const [, prefix, fraction = "", zone] = match ?? [];
    if (prefix === undefined || zone === undefined) return none;
    if (prefix !== this.#prefix || zone !== this.#zone) {
      const leap = prefix.endsWith(":60");
      const whole = leap ? `${prefix.slice(0, -2)}59` : prefix;
      const ms = Date.parse(`${whole.slice(0, 10)}T${whole.slice(11)}${zone.toUpperCase()}`);
      if (Number.isNaN(ms)) return none;
      this.#seconds = ms / 1000 + (leap ? 1 : 0);
      this.#prefix = prefix;
      this.#zone = zone;
    }
    return { seconds: this.#seconds, nanos: Number(fraction.slice(0, 9).padEnd(9, "0")), exact: fraction.length > 6 };
  }
}

/** Nanoseconds since 1970, in decimal. */
export function nsText({ seconds, nanos }: Time): string {
  if (seconds <= 0) return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
  return `${seconds}${String(nanos).padStart(9, "0")}`;
}
