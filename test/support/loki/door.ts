/** A network with one Loki on it, in simulated time: answers take a while, come whole, cut or never, as the fake's faults say. */
import type { ConnectOptions, Network, NetworkAnswer, NetworkRequest, WebSocketLike } from "../../../src/core/network.ts";
import type { FakeLoki } from "./fake.ts";
import { FakeTail } from "./tail.ts";

const delayMs = 4;
const slowMs = 3000;

export function lokiNetwork(fake: FakeLoki): Network & { slow: number } {
  const { clock, random } = fake;
  const network = {
    /** Share of answers that take three seconds. */
    slow: 0,
    async request({ url, method, headers, body, signal }: NetworkRequest): Promise<NetworkAnswer> {
      await clock.sleep(random.next() < network.slow ? slowMs : delayMs, signal);
      signal.throwIfAborted();
      const { status, text, type } = fake.answer(method, new URL(url), lowered(headers), body);
      const answered = new Headers({ "content-type": type, date: new Date(clock.now() + fake.faults.skewMs).toUTCString() });
      await clock.sleep(delayMs, signal);
      signal.throwIfAborted();
      if (random.next() < fake.faults.cut) {
        if (random.next() < 0.5) throw Object.assign(new Error("cut"), { code: "ECONNRESET" });
        return { status, headers: answered, text: text.slice(0, text.length / 2) };
      }
      return { status, headers: answered, text };
    },
    serve(): never {
      throw new Error("nothing is served here");
    },
    connect(options: ConnectOptions): WebSocketLike {
      let over = false;
      let tail: FakeTail | undefined;
      let wasOpened = false;
      const end = (code: number, reason: string, status?: number): void => {
        if (over) return;
        over = true;
        options.closed({ code, reason, opened: wasOpened, ...(status === undefined ? {} : { status }) });
      };
      const later = (act: () => void): void => void clock.sleep(delayMs).then(() => over || act());
      later(() => {
        const opened = fake.tail(new URL(options.url), lowered(options.headers), {
          frame: (text) => later(() => options.message(text)),
          ping: () => later(() => options.ping()),
          close: (code, reason) => later(() => end(code, reason)),
        });
        if (!(opened instanceof FakeTail)) return end(1006, "", opened.status);
        tail = opened;
        wasOpened = true;
        options.opened();
      });
      return {
        close() {
          tail?.leave();
          end(1000, "");
        },
      };
    },
  };
  return network;
}

function lowered(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
