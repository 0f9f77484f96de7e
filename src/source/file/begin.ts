/** Where reading begins in a file that is there at the very first start, with `start: end`. */
import type { DiskFile } from "../../core/disk.ts";
import { readAt, readHead } from "./examine.ts";
import { tailBytesMax } from "./identity.ts";
import type { Tracked } from "./tracked.ts";

/** What is there is taken as read, up to its last line end; looked for in the last `bytesMax`. */
export async function startAtEnd(file: Tracked, handle: DiskFile, bytesMax: number): Promise<void> {
  const span = Math.min(file.bytes, bytesMax);
  const last = await readAt(handle, file.bytes - span, span);
  const lineEnd = last.lastIndexOf(10) + 1;
  const whole = lineEnd === 0 && file.bytes > span; // one long line: its rest is no line
  const offset = whole ? file.bytes : file.bytes - last.byteLength + lineEnd;
  const head = (await readHead(handle)).subarray(0, offset);
  const tail = await readAt(handle, Math.max(0, offset - tailBytesMax), Math.min(offset, tailBytesMax));
  file.startAt(offset, whole, head, tail);
}
