import { expect, test } from "bun:test";
import * as v from "valibot";
import { RecordSpool } from "../../../test/conformance/records.ts";
import { startSource } from "../../../test/conformance/running.ts";
import { until } from "../../../test/support/until.ts";
import { systemDoors } from "../../core/doors.ts";
import type { LineKeys } from "../../core/format.ts";
import { schema, stdin } from "./source.ts";

test("an event ends with the next one, after a silence, and with the input", async () => {
  const config = { type: "stdin", multiline: { preset: "java", timeout: "100ms" } };
  const spool = new RecordSpool(v.parse(schema, config) as LineKeys);
  const input = new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, { highWaterMark: 10 });
  const writer = input.writable.getWriter();
  const write = (text: string): Promise<void> => writer.write(new TextEncoder().encode(text));
  const disk = Object.assign(Object.create(systemDoors.disk) as typeof systemDoors.disk, { input: () => input.readable });
  await using running = await startSource(stdin, config, spool, { doors: { ...systemDoors, disk } });
  await write("one\n\tat a\n");
  await write("\tat b\ntwo\n\tat ");
  await until(() => spool.records.length === 2, "the silence has ended the second");
  expect(spool.messages).toEqual(["one\n\tat a\n\tat b", "two"]);
  await write("c\nthree\n\tat d");
  await writer.close();
  await running.done;
  expect(spool.messages).toEqual(["one\n\tat a\n\tat b", "two", "\tat c", "three\n\tat d"]);
  expect(spool.records.at(-1)).toMatchObject({ partial: true });
});
