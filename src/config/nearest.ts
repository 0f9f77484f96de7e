/** Finds the word that was meant, and lists words as people write them. */
import { distance } from "fastest-levenshtein";

/** The candidate nearest to `word` if it is near enough to be a slip (a third of its letters), else undefined. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const between = slips(plain(word), plain(candidate));
    if (between < bestDistance) [best, bestDistance] = [candidate, between];
  }
  const longest = Math.max(word.length, best?.length ?? 0);
  return bestDistance <= Math.max(1, Math.floor(longest / 3)) ? best : undefined;
}

/** The edit distance, where two letters in the wrong order are one slip (`wran`, `warn`) and not two. */
function slips(a: string, b: string): number {
  const edits = distance(a, b);
  const sameLetters = a.length === b.length && sorted(a) === sorted(b);
  return edits === 2 && sameLetters ? 1 : edits;
}

function sorted(word: string): string {
  return word.split("").sort().join("");
}

/** `when-full` and `WhenFull` are slips for `when_full`. */
function plain(word: string): string {
  return word
    .replaceAll(/([a-z])([A-Z])/g, "$1_$2")
    .replaceAll("-", "_")
    .toLowerCase();
}

/** `a, b or c`. */
export function listed(words: readonly string[], last = "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1) ?? ""}`;
}

/** The hint for a word that is not among `known`: the nearest, else all of them under `title`. */
export function suggestion(word: string, known: readonly string[], title: string): string {
  const near = nearest(word, known);
  if (near !== undefined) return `did you mean \`${near}\`?`;
  return known.length === 0 ? "" : `${title}: ${known.join(", ")}`;
}
