/** Traditional syslog (RFC 3164) of a few dozen daemons, about 100 bytes a line. The process id counts the lines. */
import { Choice, type Random } from "./random.ts";
import { perSecond, piece, pieces, type Piece, type Text } from "./text.ts";
import type { Line } from "./line.ts";
import { address, any, hostName, many, noun, slug, userName } from "./words.ts";

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const daemons =
  "sshd systemd cron kernel dhclient postfix/smtpd postfix/qmgr dnsmasq sudo NetworkManager dockerd containerd chronyd smartd rsyslogd nscd named ntpd".split(
    " ",
  );

function syslogTime(ms: number): string {
  const date = new Date(ms);
  return `${months[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2, " ")} ${date.toISOString().slice(11, 19)} `;
}

/** What a daemon says: text before and after a value, and what value it is. */
interface Saying {
  daemon: Piece;
  before: Piece;
  value: "address" | "user" | "number";
  after: Piece;
}

function saying(random: Random): Saying {
  const daemon = piece(` ${any(random, daemons)}[`);
  const value = any(random, ["address", "user", "number"] as const);
  const before = piece(
    `]: ${slug(random, 1)} ${any(random, ["accepted", "closed", "opened", "started", "stopped", "failed", "renewed", "dropped"])} ${any(random, ["for", "from", "by", "with", "to"])} `,
  );
  const after = random.chance(0.6) ? ` port ` : ` (${noun(random)} ${slug(random, 2)}) after `;
  return { daemon, before, value, after: piece(after) };
}

export function createSyslog(random: Random, times: () => number): Line {
  const hosts = new Choice(pieces(many(40, () => hostName(random))), 0.7);
  const sayings = new Choice(
    Array.from({ length: 1200 }, () => saying(random)),
    0.8,
  );
  const values = {
    address: new Choice(pieces(many(20_000, () => address(random))), 0.4),
    user: new Choice(pieces(many(4000, () => userName(random))), 0.8),
  };
  const time = perSecond(syslogTime);
  const identity = piece(" id ");
  return (text: Text, sequence: number) => {
    const { daemon, before, value, after } = sayings.pick(random);
    text.add(time(times())).add(hosts.pick(random)).add(daemon).number(sequence).add(before);
    if (value === "number") text.number(random.below(1_000_000));
    else text.add(values[value].pick(random));
    text
      .add(after)
      .number(1024 + random.below(64_000))
      .add(identity)
      .hex(random.bits())
      .end();
  };
}
