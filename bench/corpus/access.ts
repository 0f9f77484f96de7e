/** nginx access log in the combined format with request time and request id behind it, about 300 bytes a line. */
import { Choice, type Random } from "./random.ts";
import { perSecond, pieces, type Text } from "./text.ts";
import type { Line } from "./line.ts";
import { address, agent, any, hexText, many, path, slug, userName } from "./words.ts";

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** `23/Nov/2026:01:30:20 +0000`, as nginx writes `$time_local` on a machine in UTC. */
function nginxTime(ms: number): string {
  const date = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${two(date.getUTCDate())}/${months[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}

function parts(random: Random) {
  return {
    addresses: new Choice(pieces(many(20_000, () => address(random))), 0.6),
    users: new Choice(pieces(["-", ...many(3000, () => userName(random))]), 1.1),
    methods: new Choice(pieces(['] "GET ', '] "POST ', '] "PUT ', '] "DELETE ', '] "HEAD ']), 1.8),
    paths: new Choice(pieces(many(30_000, () => path(random))), 0.75),
    statuses: new Choice(pieces([" 200 ", " 304 ", " 404 ", " 302 ", " 201 ", " 499 ", " 500 ", " 403 ", " 502 "]), 1.7),
    protocols: new Choice(pieces([' HTTP/1.1"', ' HTTP/2.0"']), 0.7),
    referers: new Choice(
      pieces([
        "-",
        ...many(
          12_000,
          () => `https://${any(random, ["www", "shop", "blog", "m"])}.${slug(random, 1)}.example/${slug(random, 2)}?ref=${hexText(random, 6)}`,
        ),
      ]),
      0.75,
    ),
    agents: new Choice(pieces(many(4000, () => agent(random))), 0.8),
  };
}

export function createAccess(random: Random, times: () => number): Line {
  const from = parts(random);
  const time = perSecond(nginxTime);
  const [dash, open, search, quote, between, id, took, point] = pieces([" - ", " [", "?session=", ' "', '" "', '" rid=', " rt=", "."]);
  return (text: Text, sequence: number) => {
    const ms = times();
    text
      .add(from.addresses.pick(random))
      .add(dash as Uint8Array)
      .add(from.users.pick(random));
    text
      .add(open as Uint8Array)
      .add(time(ms))
      .add(from.methods.pick(random))
      .add(from.paths.pick(random));
    // One request in three carries something nobody asked before.
    if (random.chance(0.33))
      text
        .add(search as Uint8Array)
        .hex(random.bits())
        .hex(random.bits());
    text
      .add(from.protocols.pick(random))
      .add(from.statuses.pick(random))
      .number(Math.floor(random.exponential(9000)));
    text
      .add(quote as Uint8Array)
      .add(from.referers.pick(random))
      .add(between as Uint8Array)
      .add(from.agents.pick(random));
    const micros = Math.floor(random.exponential(45_000));
    text
      .add(id as Uint8Array)
      .number(sequence, 12)
      .add(took as Uint8Array)
      .number(Math.floor(micros / 1e6))
      .add(point as Uint8Array);
    text.number(Math.floor((micros % 1e6) / 1000), 3).end();
  };
}
