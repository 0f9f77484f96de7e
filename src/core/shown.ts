/**
 * Foreign words on a terminal and in our own log: names of files are made by whoever may write into a folder, and a name may hold
 * anything but `/` and NUL. Nothing in it may move a cursor, begin a line, or turn what is read around.
 */

/** What acts instead of being seen: C0 and C1 controls, line and paragraph separators, marks of direction and of no width. */
// eslint-disable-next-line no-control-regex -- they are what this is about
const acting = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]/gu;
/** The same without what JSON escapes anyway. */
const actingInJson = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/**
 * A name as people can read it: what acts is spelled out (`\x1b`, `\u202e`), so that two names that differ look different. Longer than
 * `lengthMax` characters, its middle is left out: both ends of a path say something.
 */
export function visible(text: string, lengthMax = 200): string {
  const cut = Array.from(text.slice(0, lengthMax * 8));
  const whole = cut.length <= lengthMax && text.length <= lengthMax * 8;
  if (whole) return spell(text);
  const end = Array.from(text.slice(-lengthMax)).slice(-Math.floor(lengthMax / 2));
  return `${spell(cut.slice(0, lengthMax - end.length - 1).join(""))}…${spell(end.join(""))}`;
}

/** Finished JSON with what acts escaped as well: the same value, and nothing that a terminal obeys. */
export function harmlessJson(json: string): string {
  return json.replace(actingInJson, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function spell(text: string): string {
  return text.replace(acting, (char) => {
    const code = char.charCodeAt(0);
    const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
    return short ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`);
  });
}
