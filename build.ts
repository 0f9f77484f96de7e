/**
 * Builds the executable: `npm run build` for this machine, `npm run build -- --all` for every target of the table below.
 *
 * Promises: the result reads no `.env` and no `bunfig.toml` of the directory it is started in, refuses code made from
 * strings (and with it the preload of BUN_OPTIONS), says its version and commit, and traces errors to the sources.
 * Nothing is built twice from equal inputs; an executable appears whole or not at all.
 */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseArgs } from "node:util";

const root = import.meta.dir;
const dist = join(root, "dist");

/** Name of the release file, and the runtime Bun fetches for it. The glibc builds need glibc 2.17, the musl ones libstdc++. */
const targets: readonly (readonly [name: string, target: Bun.Build.CompileTarget])[] = [
  ["logferry-linux-x64", "bun-linux-x64"],
  ["logferry-linux-arm64", "bun-linux-arm64"],
  ["logferry-linux-x64-musl", "bun-linux-x64-musl"],
  ["logferry-linux-arm64-musl", "bun-linux-arm64-musl"],
  ["logferry-darwin-arm64", "bun-darwin-arm64"],
  ["logferry-darwin-x64", "bun-darwin-x64"],
];

/** What the executable says of itself. */
export interface Stamp {
  readonly version: string;
  readonly commit: string;
}

export interface Executable {
  readonly path: string;
  readonly bytes: number;
  /** False when it was there already, made from the same inputs. */
  readonly built: boolean;
}

/** Compiles `entry` into the executable `outfile` (for this machine without `target`), its source maps inside. Rejects with the bundler's messages. */
export async function compile(entry: string, outfile: string, stamp: Stamp, target?: Bun.Build.CompileTarget): Promise<void> {
  const work = join(dirname(outfile), `.building-${process.pid}-${basename(outfile)}`);
  mkdirSync(work, { recursive: true });
  const made = join(work, basename(outfile));
  try {
    await Bun.build({
      entrypoints: [entry],
      target: "bun",
      minify: true,
      // Packages that have modules for bundlers beside those for node: only modules can be left out in part.
      conditions: ["module"],
      // What is imported on demand lies in chunks of its own, which are not parsed before.
      splitting: true,
      plugins: [lazyHandler],
      sourcemap: "linked",
      define: {
        LOGFERRY_VERSION: JSON.stringify(stamp.version),
        LOGFERRY_COMMIT: JSON.stringify(stamp.commit),
        LOGFERRY_TARGET: JSON.stringify((target ?? `bun-${process.platform}-${process.arch}`).replace(/^bun-/, "")),
      },
      compile: {
        outfile: made,
        ...(target === undefined ? {} : { target }),
        // A hostile .env or bunfig.toml in the working directory would otherwise run as the service's user.
        autoloadDotenv: false,
        autoloadBunfig: false,
        // Refuses what BUN_OPTIONS preloads, which evaluates strings. No dependency of ours does (held by test/binary).
        execArgv: ["--disallow-code-generation-from-strings=strict"],
        // What runs once at the start is not worth compiling: 20 % less CPU for a short run, 5 MB less memory (src/agent/engine.ts goes on from here).
        jitPolicy: 32,
      },
    });
    // No `strip` here: it cuts the program off and leaves the plain runtime, silently.
    renameSync(made, outfile);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The SDK's own HTTP client comes when it is needed: tool/lazy.ts stands for it everywhere but there. */
const lazyHandler: Bun.BunPlugin = {
  name: "lazy handler",
  setup(build) {
    const lazy = join(root, "tool", "lazy.ts");
    build.onResolve({ filter: /^@smithy\/node-http-handler$/ }, ({ importer }) => (importer === lazy ? undefined : { path: lazy }));
  },
};

/** `dist/logferry` for this machine, built when its inputs changed. */
export async function ensureExecutable(): Promise<Executable> {
  return ensure("logferry", undefined, await stampOf(), await inputsDigest());
}

async function ensure(name: string, target: Bun.Build.CompileTarget | undefined, stamp: Stamp, inputs: string): Promise<Executable> {
  const path = join(dist, name);
  const note = join(dist, `.${name}.inputs`);
  const wanted = `${inputs} ${stamp.version} ${stamp.commit}`;
  const noted = existsSync(path) && existsSync(note) ? await Bun.file(note).text() : "";
  const built = noted !== `${wanted} ${existsSync(path) ? statSync(path).size : 0}`;
  if (built) {
    rmSync(note, { force: true });
    try {
      await compile(join(root, "src", "main.ts"), path, stamp, target);
    } catch (cause) {
      throw new Error(failure(name, target, cause), { cause });
    }
    await Bun.write(note, `${wanted} ${statSync(path).size}`);
  }
  return { path, bytes: statSync(path).size, built };
}

/** The bundler's messages, and for a foreign target what to do when its runtime cannot be fetched. */
function failure(name: string, target: string | undefined, cause: unknown): string {
  const parts = cause instanceof AggregateError ? cause.errors : [cause];
  const words = parts.map((part) => (part instanceof Error ? part.message : Bun.inspect(part))).join("\n");
  const fetched = target === undefined ? "" : `\nThe runtime ${target} ${Bun.version} is fetched from npm's registry: is it reachable from here?`;
  return `build ${name}: ${words}${fetched}`;
}

/** SHA-256 over everything the executable is made of: sources, dependencies by lockfile, this file and the runtime. */
async function inputsDigest(): Promise<string> {
  const files = [...new Bun.Glob("src/**/*").scanSync({ cwd: root })].filter((path) => !path.includes(".test."));
  const hasher = new Bun.CryptoHasher("sha256").update(Bun.version);
  for (const path of [...files.sort(), "build.ts", "tool/lazy.ts", "package.json", "package-lock.json", "tsconfig.json"]) {
    hasher.update(`\0${path}\0`).update(await Bun.file(join(root, path)).bytes());
  }
  return hasher.digest("hex");
}

/** Version from package.json; the commit, `-dirty` when the inputs differ from it, `unknown` outside a git checkout. */
async function stampOf(): Promise<Stamp> {
  const { version } = (await Bun.file(join(root, "package.json")).json()) as { version: string };
  const head = git("rev-parse", "HEAD");
  if (head === undefined) return { version, commit: "unknown" };
  const changes = git("status", "--porcelain", "--", "src", "build.ts", "package.json", "package-lock.json");
  return { version, commit: changes === "" ? head : `${head}-dirty` };
}

function git(...args: string[]): string | undefined {
  if (Bun.which("git") === null) return undefined;
  const answer = Bun.spawnSync(["git", ...args], {
    cwd: root,
    // Unpacked from an archive below somebody else's checkout: that one's commit is not ours.
    env: { ...process.env, GIT_CEILING_DIRECTORIES: dirname(root) },
    stderr: "ignore",
  });
  return answer.success ? answer.stdout.toString().trim() : undefined;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { all: { type: "boolean", default: false } } });
  const [stamp, inputs] = [await stampOf(), await inputsDigest()];
  const wanted = values.all ? targets : [["logferry", undefined] as const];
  const lines: string[] = [];
  for (const [name, target] of wanted) {
    const { path, bytes, built } = await ensure(name, target, stamp, inputs);
    console.log(`dist/${name.padEnd(26)} ${(bytes / 1e6).toFixed(1).padStart(6)} MB${built ? "" : "  (unchanged)"}`);
    if (values.all) lines.push(`${new Bun.CryptoHasher("sha256").update(await Bun.file(path).bytes()).digest("hex")}  ${name}\n`);
  }
  if (values.all) await Bun.write(join(dist, "SHA256SUMS"), lines.join(""));
}

if (import.meta.main) {
  try {
    await main();
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : cause);
    process.exit(1);
  }
}
