/**
 * What the text of a file is written in. With `encoding: utf-16` each file says it itself, by the byte order mark it begins with; one that
 * has none is little-endian, as everywhere.
 */
import { lineEndsOf, type LineEnds } from "../../core/encoding.ts";
import type { DiskFile } from "../../core/disk.ts";

/** The name in the configuration that leaves the byte order to the file. */
export const byMark = "utf-16";

/** `encoding` as in the configuration, of the file that `handle` reads: a name, undefined for UTF-8. `mayChange`: it is too short yet to say. */
export async function encodingOf(encoding: string | undefined, handle: DiskFile): Promise<{ name: string | undefined; mayChange: boolean }> {
  if (encoding !== byMark) return { name: encoding, mayChange: false };
  const mark = new Uint8Array(2);
  const got = await handle.read(mark, 0);
  return { name: mark[0] === 0xfe && mark[1] === 0xff ? "utf-16be" : "utf-16le", mayChange: got < 2 };
}

export interface FileText {
  readonly name: string | undefined;
  readonly ends: LineEnds;
}

/** What the texts of a source's files are written in, asked once for each file. */
export class Texts {
  readonly #encoding: string | undefined;
  /** Of all files, where the configuration says it. */
  readonly #all: FileText | undefined;
  readonly #known = new WeakMap<object, FileText>();

  constructor(encoding: string | undefined) {
    this.#encoding = encoding;
    this.#all = encoding === byMark ? undefined : { name: encoding, ends: lineEndsOf(encoding) };
  }

  /** Of `file`; undefined when it has to be looked up. */
  known(file: object): FileText | undefined {
    return this.#all ?? this.#known.get(file);
  }

  /** Of `file`, which `handle` reads. */
  async of(file: object, handle: DiskFile): Promise<FileText> {
    const known = this.known(file);
    if (known !== undefined) return known;
    const { name, mayChange } = await encodingOf(this.#encoding, handle);
    const text = { name, ends: lineEndsOf(name) };
    if (!mayChange) this.#known.set(file, text);
    return text;
  }
}
