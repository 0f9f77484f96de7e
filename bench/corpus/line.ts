/** What a kind of corpus makes: one line at a time. */
import type { Text } from "./text.ts";

/** Appends one line, its end included; room for `lineBytesMax` must be free. */
export type Line = (text: Text, sequence: number) => void;

/** More than any line here: the longest are the statements of the `long` corpus, of up to 64 KiB. */
export const lineBytesMax = 72 * 1024;
