/**
 * Patterns for times, as strptime (POSIX.1-2024) has them: `%d.%m.%Y %H:%M:%S,%f %z`.
 *
 * A blank stands for any run of blanks, also none. `%f` is a fraction of a second of 1 to 9 digits, `%z` `Z`, `+01:00`, `+0100` or
 * `+01`. Names of months and days are English.
 */

/** One step: a directive's letter, a literal byte, or a run of blanks. */
export type TimeStep = { readonly letter: string } | { readonly byte: number } | { readonly blank: true };

const known = ["Y", "y", "m", "d", "e", "H", "I", "M", "S", "f", "j", "b", "h", "B", "a", "A", "p", "z", "s"];
const composed: Readonly<Record<string, string>> = { F: "%Y-%m-%d", T: "%H:%M:%S", R: "%H:%M", D: "%m/%d/%y" };

/** The steps of `pattern`, or what is wrong with it in the words of the configuration. */
export function parseTimePattern(pattern: string): readonly TimeStep[] | { readonly mistake: string } {
  if (!pattern.includes("%")) return { mistake: "is neither the name of a format nor a pattern such as %Y-%m-%d %H:%M:%S" };
  const steps: TimeStep[] = [];
  const expanded = pattern.replaceAll(/%([FTRD])/g, (_, letter: string) => composed[letter] ?? "");
  for (const [all, letter] of expanded.matchAll(/%(.?)|\s+|[^%\s]+/gsu)) {
    if (letter === undefined) {
      if (/^\s/.test(all)) steps.push({ blank: true });
      else for (const byte of new TextEncoder().encode(all)) steps.push({ byte });
    } else if (letter === "%") {
      steps.push({ byte: 0x25 });
    } else if (letter === "n" || letter === "t") {
      steps.push({ blank: true });
    } else if (letter !== "" && known.includes(letter)) {
      steps.push({ letter });
    } else {
      return { mistake: `has %${letter}, which is none of ${[...known, ...Object.keys(composed)].map((each) => `%${each}`).join(" ")}` };
    }
  }
  return mistakeIn(steps) ?? steps;
}

function mistakeIn(steps: readonly TimeStep[]): { readonly mistake: string } | undefined {
  const letters = new Set(steps.flatMap((step) => ("letter" in step ? [step.letter] : [])));
  const has = (...any: string[]): boolean => any.some((letter) => letters.has(letter));
  if (has("s")) return undefined;
  const day = has("j") || (has("m", "b", "h", "B") && has("d", "e"));
  if (!day) return { mistake: "names no day: it needs %m (or %b) and %d, or %j, or %s" };
  if (has("j") && !has("Y", "y")) return { mistake: "has %j, which needs %Y" };
  if (has("I") && !has("p")) return { mistake: "has %I, which needs %p" };
  return undefined;
}

/** Whether `zone` is `local` or in the runtime's time zone database. */
export function isTimeZone(zone: string): boolean {
  if (zone === "local") return true;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: zone }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
