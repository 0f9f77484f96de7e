/** Every source of the registry, held against what all of them guarantee. */
import { appendFileSync } from "node:fs";
import { systemDoors } from "../../src/core/doors.ts";
import { file } from "../../src/source/file/source.ts";
import { stdin } from "../../src/source/stdin/source.ts";
import { scratch } from "../support/scratch.ts";
import { conformSource, type World } from "./source.ts";

async function openFile(): Promise<World> {
  const dir = await scratch();
  return {
    kind: file,
    config: { type: "file", include: [dir.join("*.log")], discover_interval: "20ms" },
    feed: (lines) => appendFileSync(dir.join("app.log"), lines.map((line) => `${line}\n`).join("")),
    close: () => {},
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

function openStdin(): Promise<World> {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  // As from a pipe: pieces that know nothing of lines.
  const pieces: Uint8Array[] = [];
  let closed = false;
  const pump = (): void => {
    while (controller !== undefined && pieces.length > 0 && (controller.desiredSize ?? 0) > 0)
      controller.enqueue(pieces.shift() ?? new Uint8Array(0));
    if (closed && pieces.length === 0) controller?.close();
  };
  const input = new ReadableStream<Uint8Array>({
    start: (own) => void (controller = own),
    pull: pump,
    cancel: () => void (controller = undefined),
  });
  return Promise.resolve({
    kind: stdin,
    config: { type: "stdin" },
    doors: { ...systemDoors, disk: { ...systemDoors.disk, input: () => input } },
    feed(lines) {
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(""));
      for (let at = 0; at < bytes.byteLength; at += 65_521) pieces.push(bytes.subarray(at, at + 65_521));
      pump();
    },
    close() {
      closed = true;
      pump();
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
}

conformSource("file", { resumes: true, ends: true }, openFile);
conformSource("stdin", { resumes: false, ends: true }, openStdin);
