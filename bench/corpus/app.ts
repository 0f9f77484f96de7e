/** JSON log of an application, one object a line, about 285 bytes; one in seventy is an error with its stack. */
import { Choice, type Random } from "./random.ts";
import { perSecond, pieces, type Text } from "./text.ts";
import type { Line } from "./line.ts";
import { any, hexText, hostName, many, noun, slug, userName } from "./words.ts";

const verbs =
  "accepted assigned cancelled charged checked closed created deleted expired fetched found indexed loaded locked matched moved notified opened parsed published queued refreshed released rendered retried saved scheduled sent skipped stored synced updated validated".split(
    " ",
  );

/** A message in three pieces with two numbers between them. */
function template(random: Random): Uint8Array[] {
  const tail = random.chance(0.5) ? ` of ${noun(random)} ${slug(random, 2)}` : ` by worker ${noun(random)}`;
  return pieces([`${any(random, verbs)} ${noun(random)} `, ` for ${noun(random)} `, tail]);
}

function stack(random: Random): string {
  const depth = 3 + random.below(5);
  const frames = many(
    depth,
    () =>
      `\\n    at ${noun(random)}.${any(random, verbs)} (/srv/app/src/${noun(random)}/${noun(random)}.js:${1 + random.below(400)}:${1 + random.below(80)})`,
  );
  return `,"stack":"Error: ${noun(random)} ${any(random, verbs)} too late${frames.join("")}"`;
}

function parts(random: Random) {
  return {
    levels: new Choice(pieces(['Z","level":"info","logger":"', 'Z","level":"debug","logger":"', 'Z","level":"warn","logger":"']), 1.5),
    loggers: new Choice(pieces(many(220, () => `${noun(random)}.${noun(random)}`)), 1),
    templates: new Choice(
      many(1500, () => "").map(() => template(random)),
      1,
    ),
    hosts: new Choice(pieces(many(24, () => hostName(random))), 0.4),
    users: new Choice(pieces(many(9000, () => userName(random))), 0.6),
    sessions: new Choice(pieces(many(20_000, () => hexText(random, 8))), 0.5),
    statuses: new Choice(pieces(["200", "201", "204", "404", "409", "500"]), 1.6),
    stacks: new Choice(pieces(many(300, () => stack(random))), 1),
  };
}

export function createApp(random: Random, times: () => number): Line {
  const from = parts(random);
  const time = perSecond((ms) => `{"time":"${new Date(ms).toISOString().slice(0, 19)}.`);
  const names = pieces([
    '","message":"',
    '","request":"req-',
    '","trace":"',
    '","session":"',
    '","user":"',
    '","host":"',
    '","status":',
    ',"took_us":',
    "}",
  ]);
  const [message, request, trace, session, user, host, status, took, end] = names as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return (text: Text, sequence: number) => {
    const ms = times();
    const failed = random.chance(0.014);
    text
      .add(time(ms))
      .number(Math.floor(ms) % 1000, 3)
      .add(from.levels.pick(random))
      .add(from.loggers.pick(random));
    const [head, middle, tail] = from.templates.pick(random) as [Uint8Array, Uint8Array, Uint8Array];
    text
      .add(message)
      .add(head)
      .number(random.below(2_000_000))
      .add(middle)
      .number(Math.floor(random.exponential(400)))
      .add(tail);
    text.add(request).number(sequence, 12).add(trace);
    for (let words = 0; words < 4; words++) text.hex(random.bits());
    text.add(session).add(from.sessions.pick(random)).add(user).add(from.users.pick(random)).add(host).add(from.hosts.pick(random));
    text
      .add(status)
      .add(from.statuses.pick(random))
      .add(took)
      .number(Math.floor(random.exponential(30_000)));
    if (failed) text.add(from.stacks.pick(random));
    text.add(end).end();
  };
}
