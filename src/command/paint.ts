/** Colour for people: only on a terminal, and never when NO_COLOR is set (no-color.org). */
import type { Io } from "./io.ts";

export interface Paint {
  good(text: string): string;
  warn(text: string): string;
  bad(text: string): string;
  dim(text: string): string;
  bold(text: string): string;
}

export function painter(io: Pick<Io, "env" | "tty">, stream: "stdout" | "stderr"): Paint {
  const on = io.tty[stream] && (io.env["NO_COLOR"] ?? "") === "" && io.env["TERM"] !== "dumb";
  const style =
    (open: number, close: number) =>
    (text: string): string =>
      on ? `\u001B[${open}m${text}\u001B[${close}m` : text;
  return { good: style(32, 39), warn: style(33, 39), bad: style(31, 39), dim: style(2, 22), bold: style(1, 22) };
}
