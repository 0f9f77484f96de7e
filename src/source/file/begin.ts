/** Where reading begins in a file that is there at the very first start, with `start: end`. */
import type { DiskFile } from "../../core/disk.ts";
import { readAt, readHead } from "./examine.ts";
import { lineEndsOf } from "../../core/encoding.ts";
import { tailBytesMax } from "./identity.ts";
import { encodingOf } from "./text.ts";
import type { Tracked } from "./tracked.ts";

/** What is there is taken as read, up to its last line end; looked for in the last `bytesMax`. `encoding` as in the configuration. */
export async function startAtEnd(file: Tracked, handle: DiskFile, bytesMax: number, encoding: string | undefined): Promise<void> {
  const ends = lineEndsOf((await encodingOf(encoding, handle)).name);
  const span = Math.min(file.bytes, bytesMax);
  const last = await readAt(handle, file.bytes - span, span);
  const lineEnd = ends.last(last, last.byteLength, file.bytes - span);
  const whole = lineEnd === 0 && file.bytes > span; // one long line: its rest is no line
  const offset = whole ? ends.whole(file.bytes, 0) : file.bytes - last.byteLength + lineEnd;
  const head = (await readHead(handle)).subarray(0, offset);
  const tail = await readAt(handle, Math.max(0, offset - tailBytesMax), Math.min(offset, tailBytesMax));
  file.startAt(offset, whole, head, tail);
}
