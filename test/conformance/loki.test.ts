/** Sink loki against a Loki that keeps entries, not bodies: what has arrived is put together again from labels, time, line and metadata. */
import * as v from "valibot";
import { createBoard } from "../../src/core/board.ts";
import type { Sink } from "../../src/core/contract.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { schema } from "../../src/sink/loki/config.ts";
import { loki } from "../../src/sink/loki/sink.ts";
import { FakeLoki } from "../support/loki/fake.ts";
import { serveLoki } from "../support/loki/server.ts";
import { sinkConformance } from "./sink.ts";

const baseMs = Date.now() - 60_000;
const micros = (ms: number): string => new Date(ms).toISOString().replace("Z", "123Z");
const recordOf = (timestamp: string, offset: string | undefined, message: string): string =>
  `{"timestamp":"${timestamp}","host":"edge-1","source":"app","file":"/a","offset":${offset},"message":"${message}"}\n`;

for (const encoding of ["protobuf", "json"]) {
  sinkConformance(`loki, ${encoding}`, async () => {
    const fake = new FakeLoki();
    const server = serveLoki(fake);
    return {
      pieces: ["one", "two", "three"].map((message, at) => Buffer.from(recordOf(micros(baseMs + at), String(at * 5), message))),
      open: (): Promise<Sink> =>
        loki.open(v.parse(schema, { type: "loki", url: server.url, tenant: "t1", encoding }), {
          name: "logs",
          host: "edge-1",
          spoolId: "0123456789abcdef0123456789abcdef",
          doors: systemDoors,
          board: createBoard(silent, Date.now),
          log: silent,
        }),
      async arrived() {
        const entries = [...fake.store.streams.values()].flatMap((stream) => stream.entries);
        const lines = entries.map(({ ns, line, metadata }) => {
          const time = new Date(Number(ns / 1_000_000n)).toISOString().replace("Z", `${String(ns % 1_000_000n).padStart(6, "0")}Z`);
          return recordOf(time.replace(/000Z$/, "Z"), metadata["offset"], line);
        });
        return lines.length === 0 ? [] : [Buffer.from(lines.join(""))];
      },
      streams: false,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  });
}
