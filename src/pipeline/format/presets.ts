/**
 * Which lines belong to the one before: small machines, one for each preset and one for patterns. A machine reads lines in order; its
 * state is a small whole number that begins anew with every event.
 *
 * What a preset cannot know is left as it comes: a second line of a Java exception's message that is not indented begins an event of
 * its own, since nothing tells it from the next log line.
 */
import type { MultilineKeys, Preset } from "../../core/format.ts";

export interface Machine {
  /** The state of an event that begins with this line. */
  begin(bytes: Uint8Array, start: number, end: number): number;
  /** The state once this line was added to an event in `state`; -1 when it begins another one. */
  next(state: number, bytes: Uint8Array, start: number, end: number): number;
  /** Whether this line is the last of its event. */
  ends(bytes: Uint8Array, start: number, end: number): boolean;
}

/** Patterns are held against so many bytes of a line at most, its last ones for `end`: longer lines cannot cost without bound. */
const matchedBytesMax = 4096;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const never = (): boolean => false;

export function createMachine(keys: MultilineKeys): Machine {
  return keys.preset === undefined ? patterns(keys) : presetMachines[keys.preset];
}

function patterns(keys: MultilineKeys): Machine {
  const starts = keys.start === undefined ? undefined : new RegExp(keys.start, "u");
  const continues = keys.continue === undefined ? undefined : new RegExp(keys.continue, "u");
  const endings = keys.end === undefined ? undefined : new RegExp(keys.end, "u");
  return {
    begin: () => 0,
    next(_state, bytes, start, end) {
      if (starts === undefined && continues === undefined) return 0;
      const text = decoder.decode(bytes.subarray(start, Math.min(end, start + matchedBytesMax)));
      return starts?.test(text) === true || continues?.test(text) === false ? -1 : 0;
    },
    ends(bytes, start, end) {
      return endings?.test(decoder.decode(bytes.subarray(Math.max(start, end - matchedBytesMax), end))) ?? false;
    },
  };
}

/** An event of one line so far; the head of an exception, no frame of it yet; within its frames. */
const PLAIN = 0;
const HEAD = 1;
const FRAMES = 2;

/** `java.lang.IllegalStateException: message` */
const javaHead = /^(?:[a-z_][\w$]*\.)+[\w$]+(?:Exception|Error|Throwable)(?::|$)/u;

const java: Machine = {
  begin: (bytes, start, end) => (isLetter(bytes, start, end) && javaHead.test(latin(bytes, start, end)) ? HEAD : PLAIN),
  next(state, bytes, start, end) {
    if (isIndented(bytes, start, end)) return begins(bytes, skipBlanks(bytes, start, end), end, "at ") ? FRAMES : state;
    if (begins(bytes, start, end, "Caused by:") || begins(bytes, start, end, "Suppressed:")) return FRAMES;
    if (state !== PLAIN || !isLetter(bytes, start, end)) return -1;
    return javaHead.test(latin(bytes, start, end)) ? HEAD : -1;
  },
  ends: never,
};

/** `TypeError: x`, `Error [CODE]: x`, `MyError: x` */
const nodeHead = /^(?:Uncaught )?(?:[A-Za-z_$][\w$.]*)?(?:Error|Exception)(?: \[[\w]+\])?(?::|$)/u;
/** `/srv/app.js:10`, as node shows where an uncaught one was thrown. */
const nodePlace = /^(?:file:\/\/|node:|\/|[A-Z]:\\)\S*:\d+$/u;
/** The lines of code below that, up to the error itself. */
const SHOWN = 3;
const BLANK = 4;

const node: Machine = {
  begin(bytes, start, end) {
    const text = latin(bytes, start, end);
    return nodePlace.test(text) ? SHOWN : nodeHead.test(text) ? HEAD : PLAIN;
  },
  next(state, bytes, start, end) {
    if (state === SHOWN) return start === end ? BLANK : SHOWN;
    if (isIndented(bytes, start, end)) return begins(bytes, skipBlanks(bytes, start, end), end, "at ") ? FRAMES : state;
    if (state === FRAMES) {
      if (begins(bytes, start, end, "}") || begins(bytes, start, end, "Node.js v")) return FRAMES;
      return start === end ? 5 : -1;
    }
    if (state === 5) return begins(bytes, start, end, "Node.js v") ? FRAMES : -1;
    if (state === BLANK) return nodeHead.test(latin(bytes, start, end)) ? HEAD : -1;
    return state === PLAIN && isLetter(bytes, start, end) && nodeHead.test(latin(bytes, start, end)) ? HEAD : -1;
  },
  ends: never,
};

const TRACEBACK = 1;
const RAISED = 2;
const AFTER = 3;
const CHAINED = 4;
const CHAINED_BLANK = 5;

function isTraceback(bytes: Uint8Array, start: number, end: number): boolean {
  const at = skipBlanks(bytes, start, end);
  return begins(bytes, at, end, "Traceback (most recent call last)") || begins(bytes, at, end, "+ Exception Group Traceback");
}

const python: Machine = {
  begin: (bytes, start, end) => (isTraceback(bytes, start, end) ? TRACEBACK : PLAIN),
  next(state, bytes, start, end) {
    if (state === PLAIN) return isTraceback(bytes, start, end) ? TRACEBACK : isIndented(bytes, start, end) ? PLAIN : -1;
    if (state === TRACEBACK) return isIndented(bytes, start, end) ? TRACEBACK : start === end ? -1 : RAISED;
    if (state === RAISED) return isIndented(bytes, start, end) ? RAISED : start === end ? AFTER : -1;
    if (state === AFTER) {
      const chained = begins(bytes, start, end, "During handling of the above") || begins(bytes, start, end, "The above exception was");
      return chained ? CHAINED : -1;
    }
    if (state === CHAINED && start === end) return CHAINED_BLANK;
    return isTraceback(bytes, start, end) ? TRACEBACK : -1;
  },
  ends: never,
};

const PANIC = 1;
const ROUTINE = 2;
const BETWEEN = 3;
const GONE = 4;
/** `net/http.(*conn).serve(0xc000, …)`, `created by main.run in goroutine 1`, `…additional frames elided...` */
const goCall = /^(?:created by |\.\.\.|[\w.\-/~*()[\]{}·%]+\(.*\)$)/u;

const go: Machine = {
  begin(bytes, start, end) {
    if (begins(bytes, start, end, "panic: ") || begins(bytes, start, end, "fatal error: ")) return PANIC;
    return begins(bytes, start, end, "goroutine ") ? ROUTINE : PLAIN;
  },
  next(state, bytes, start, end) {
    if (state === GONE) return -1;
    if (begins(bytes, start, end, "goroutine ")) return ROUTINE;
    if (isIndented(bytes, start, end)) return state;
    if (state === PLAIN) return -1;
    if (begins(bytes, start, end, "exit status ")) return GONE;
    if (state === PANIC) return start === end || begins(bytes, start, end, "[signal ") || begins(bytes, start, end, "runtime: ") ? PANIC : -1;
    if (start === end) return state === ROUTINE ? BETWEEN : -1;
    return state === ROUTINE && goCall.test(latin(bytes, start, end)) ? ROUTINE : -1;
  },
  ends: never,
};

/** `from /app/a.rb:3:in 'Foo#bar'`, or Rails' frames without `from`. What follows the method is another error's head. */
const rubyFrame = /^(?:from )?\S+:\d+:in [`'][^']*'$/u;

const ruby: Machine = {
  begin: () => PLAIN,
  next(state, bytes, start, end) {
    if (isIndented(bytes, start, end)) return state;
    return start < end && rubyFrame.test(latin(bytes, start, end)) ? state : -1;
  },
  ends: never,
};

const presetMachines: Readonly<Record<Preset, Machine>> = { java, python, go, ruby, node };

function begins(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (start + text.length > end) return false;
  for (let index = 0; index < text.length; index++) if (bytes[start + index] !== text.charCodeAt(index)) return false;
  return true;
}

function isIndented(bytes: Uint8Array, start: number, end: number): boolean {
  return start < end && (bytes[start] === 0x20 || bytes[start] === 0x09);
}

function skipBlanks(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
  return at;
}

function isLetter(bytes: Uint8Array, start: number, end: number): boolean {
  const byte = start < end ? (bytes[start] as number) | 0x20 : 0;
  return byte >= 0x61 && byte <= 0x7a;
}

/** The first bytes as text, a character each: enough for patterns of ASCII. */
function latin(bytes: Uint8Array, start: number, end: number): string {
  const upTo = Math.min(end, start + 512);
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, upTo - start).toString("latin1");
}
