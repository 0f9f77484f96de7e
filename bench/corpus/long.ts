/**
 * Lines of 2 to 64 KiB, about 12 KiB on the average: statements of a database's slow log, each with a list of rows. What an escaper
 * and a bound on the line's length meet and the other corpora never show.
 */
import { Choice, type Random } from "./random.ts";
import type { Line } from "./line.ts";
import { perSecond, piece, pieces, type Text } from "./text.ts";
import { any, many, noun, slug, userName } from "./words.ts";

const bytesMin = 2 * 1024;
const bytesMax = 64 * 1024;
const bytesMean = 10 * 1024;

export function createLong(random: Random, times: () => number): Line {
  const tables = new Choice(
    pieces(many(120, () => `" rows INSERT INTO ${noun(random)}_${noun(random)} (id, owner, state, note, digest) VALUES `)),
    1,
  );
  const owners = new Choice(pieces(many(4000, () => userName(random))), 0.7);
  const states = pieces(["', 'open', '", "', 'closed', '", "', 'waiting', '", "', 'failed', '"]);
  const notes = new Choice(pieces(many(2500, () => `${slug(random, 2)} \\"${noun(random)} ${noun(random)}\\" is ${noun(random)}`)), 0.8);
  const time = perSecond((ms) => `${new Date(ms).toISOString().slice(0, 19)}Z slow query #`);
  const [took, open, between, next, end] = pieces([' took "', "(", ", '", "', x'", "'), "]) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  const close = piece("'); -- done");
  return (text: Text, sequence: number) => {
    const from = text.length;
    const bytes = Math.min(bytesMax - 512, bytesMin + random.exponential(bytesMean));
    text
      .add(time(times()))
      .number(sequence)
      .add(took)
      .number(Math.floor(random.exponential(9000)))
      .add(tables.pick(random));
    for (;;) {
      text
        .add(open)
        .number(random.below(100_000_000))
        .add(between)
        .add(owners.pick(random))
        .add(any(random, states))
        .add(notes.pick(random))
        .add(next);
      for (let words = 0; words < 3; words++) text.hex(random.bits());
      if (text.length - from > bytes) break;
      text.add(end);
    }
    text.add(close).end();
  };
}
