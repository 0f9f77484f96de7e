/** Calls and imports that are not to be used, each with what to use instead. */
import { importsOf } from "./imports.ts";
import { type Node, type Source, type Violation, dottedName, lineOf, walk } from "./source.ts";

interface Ban {
  /** Dotted names of what is used (`Date.now`), `new X` for a construction without arguments, or module names. */
  readonly names: RegExp;
  /** Where it is right after all. */
  readonly except: RegExp;
  readonly instead: string;
}

const none = /^$/;

/** In the product, tests beside it excepted. */
const uses: readonly Ban[] = [
  {
    names: /^(?:process\.(?:exit|abort|exitCode|on|once|off|addListener|kill))$/,
    except: /^src\/main\.ts$/,
    instead: "return an exit code or throw a Fault; signals are handed in (core/signals.ts), main.ts alone touches the process",
  },
  { names: /^console\.\w+$/, except: /^src\/main\.ts$/, instead: "context.log, or the output handed to the command" },
  {
    names:
      /^(?:Date\.now|new Date|performance\.now|setTimeout|setInterval|setImmediate|Bun\.sleep|Bun\.sleepSync|Bun\.nanoseconds|AbortSignal\.timeout)$/,
    except: /^src\/core\/(?:clock|network)\.ts$/,
    instead: "doors.clock: now() and monotonic() to look, sleep() to wait, withDeadline (core/deadline.ts) to limit",
  },
  { names: /^(?:Math\.random|crypto\.(?:randomUUID|getRandomValues|randomBytes))$/, except: /^src\/core\/random\.ts$/, instead: "doors.random" },
  {
    names: /^(?:fetch|globalThis\.fetch|Bun\.(?:fetch|serve|connect|listen|udpSocket)|new WebSocket)$/,
    except: /^src\/core\/network\.ts$/,
    instead: "doors.network",
  },
  { names: /^Bun\.(?:file|write|stdin|stdout|stderr)$/, except: /^src\/(?:core\/disk|main)\.ts$/, instead: "doors.disk" },
  { names: /^Bun\.gunzipSync$/, except: none, instead: "doors.compress.gunzip: this one stops after the first member without a word" },
  {
    names: /^Bun\.(?:gzipSync|deflateSync|inflateSync|zstd\w+)$/,
    except: /^src\/core\/compress\.ts$/,
    instead: "doors.compress: off the main thread, and the simulation decides the order",
  },
];

const modules: readonly Ban[] = [
  { names: /^(?:node:)?fs(?:\/promises)?$/, except: /^src\/core\/(?:disk|network)\.ts$/, instead: "doors.disk" },
  {
    names: /^(?:node:)?(?:http|https|http2|tls|dgram|dns|dns\/promises)$|^undici$|^ws$/,
    except: /^src\/core\/network\.ts$/,
    instead: "doors.network",
  },
  { names: /^(?:node:)?zlib$/, except: /^src\/core\/(?:compress|unpack)\.ts$/, instead: "doors.compress" },
  {
    names: /^(?:node:)?(?:stream|stream\/promises|stream\/web|readline|readline\/promises|events)$/,
    except: /^src\/sink\/s3\//,
    instead: "buffers read through doors.disk, and promises: a stream costs an object and an event for each piece",
  },
  { names: /^(?:node:)?(?:timers|timers\/promises)$/, except: none, instead: "doors.clock" },
  {
    names: /^(?:node:)?(?:child_process|cluster|worker_threads|vm|module)$/,
    except: none,
    instead: "one process, one thread; the runtime's own pool does the heavy work",
  },
  { names: /^bun:sqlite$/, except: /^src\/spool\/lock\.ts$/, instead: "the spool's own files: SQLite is there for its kernel lock only" },
  { names: /^fflate$/, except: /^src\/command\/support/, instead: "doors.compress: native, seven times as fast" },
];

const words: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\b(?:TO[D]O|FIX[M]E|XXX|HACK)\b/g, instead: "do it now, or open an issue" },
  { pattern: /\b(?:test|it|describe)\.(?:skip|todo|only|failing)\b/g, instead: "a test that runs: mend it or take it out" },
  { pattern: /\boxlint-disable(?!-next-line [\w/-]+ -- \S)/g, instead: "oxlint-disable-next-line RULE -- the reason" },
  { pattern: /@ts-(?:ignore|nocheck)\b/g, instead: "types that fit, or @ts-expect-error with the reason" },
];

/** What is used of the runtime and of modules. Only the product is bound: tests and tools may reach for real things. */
export function checkBanned(source: Source): Violation[] {
  if (!source.path.startsWith("src/") || source.test) return [];
  const found: Violation[] = [];
  const report = (ban: Ban, name: string, offset: number): void => {
    if (!ban.except.test(source.path))
      found.push({ path: source.path, line: lineOf(source.text, offset), message: `${name} is not used here: ${ban.instead}` });
  };
  walk(source.program, (node, parent) => {
    const name = usedName(node, parent);
    for (const ban of uses) if (name !== undefined && ban.names.test(name)) report(ban, name, node.start);
  });
  for (const { specifier, offset, typeOnly } of importsOf(source)) {
    for (const ban of modules) if (!typeOnly && ban.names.test(specifier)) report(ban, specifier, offset);
  }
  return found;
}

/** Words that stand for work not done, in every file. */
export function checkWords(path: string, text: string): Violation[] {
  return words.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map((match) => ({ path, line: lineOf(text, match.index), message: `${match[0]}: ${instead}` })),
  );
}

/** The name a node uses: a member (`Date.now`), a plain function that is called, `new X` without arguments or a socket. */
function usedName(node: Node, parent: Node | undefined): string | undefined {
  if (node.type === "MemberExpression") return dottedName(node);
  if (node.type === "NewExpression") {
    const name = dottedName(node["callee"]);
    return name === "WebSocket" || (node["arguments"] as unknown[]).length === 0 ? `new ${name}` : undefined;
  }
  if (node.type !== "Identifier" || !["fetch", "setTimeout", "setInterval", "setImmediate"].includes(String(node["name"]))) return undefined;
  // A key, a method or a member of that name is something else.
  const other =
    parent?.["key"] === node || (parent?.type === "MemberExpression" && parent["property"] === node) || (parent?.type ?? "TS").startsWith("TS");
  return other ? undefined : String(node["name"]);
}
