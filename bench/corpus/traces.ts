/**
 * A Java service that fails a lot: one line in six begins an event of 8 to 40 lines with its stack, causes included; about 95 bytes
 * a line. The trace repeats itself as real ones do: a few hundred of them, the same frames in many.
 */
import { Choice, type Random } from "./random.ts";
import type { Line } from "./line.ts";
import { perSecond, piece, pieces, type Piece, type Text } from "./text.ts";
import { any, many, noun } from "./words.ts";

const upper = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);
const faults = "IllegalState IllegalArgument NullPointer Timeout Connection Validation Lock NotFound Closed Overflow".split(" ");

function frame(random: Random): string {
  const [pack, part, name] = [noun(random), upper(noun(random)), noun(random)];
  const role = any(random, ["Service", "Controller", "Repository", "Filter", "Handler", "Client", "Proxy"]);
  return `\tat com.example.${pack}.${part}${role}.${name}${upper(noun(random))}(${part}${role}.java:${1 + random.below(900)}) ~[#`;
}

/** The lines of a stack up to their numbers. */
function stack(random: Random, frames: Choice<Piece>): Piece[] {
  const lines: Piece[] = [];
  for (let causes = 1 + random.below(3); causes > 0; causes--) {
    const first = lines.length === 0 ? "" : "Caused by: ";
    lines.push(
      piece(`${first}com.example.${noun(random)}.${any(random, faults)}Exception: ${noun(random)} ${noun(random)} is not ${noun(random)} [#`),
    );
    for (let depth = 6 + random.below(9); depth > 0; depth--) lines.push(frames.pick(random));
  }
  return lines;
}

export function createTraces(random: Random, times: () => number): Line {
  const frames = new Choice(pieces(many(900, () => frame(random))), 0.9);
  const stacks = new Choice(
    Array.from({ length: 300 }, () => stack(random, frames)),
    0.9,
  );
  const messages = new Choice(
    pieces(
      many(
        700,
        () =>
          `c.e.${noun(random)}.${upper(noun(random))}Service - ${noun(random)} ${noun(random)} ${any(random, ["done", "sent", "kept", "moved"])} `,
      ),
    ),
    0.9,
  );
  const levels = new Choice(pieces([" INFO  [worker-", " DEBUG [worker-", " WARN  [worker-"]), 1.2);
  const time = perSecond((ms) => `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")},`);
  const [error, open, mark, close] = pieces([" ERROR [worker-", "] ", " [#", "]"]) as [Piece, Piece, Piece, Piece];
  let rest: readonly Piece[] = [];
  let at = 0;
  return (text: Text, sequence: number) => {
    if (at < rest.length) {
      text
        .add(rest[at++] as Piece)
        .number(sequence)
        .add(close)
        .end();
      return;
    }
    const failed = random.chance(1 / 6);
    const ms = times();
    text
      .add(time(ms))
      .number(Math.floor(ms) % 1000, 3)
      .add(failed ? error : levels.pick(random));
    text
      .number(1 + random.below(64))
      .add(open)
      .add(messages.pick(random))
      .number(random.below(5_000_000))
      .add(mark)
      .number(sequence)
      .add(close)
      .end();
    [rest, at] = failed ? [stacks.pick(random), 0] : [[], 0];
  };
}
