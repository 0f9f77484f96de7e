/**
 * The way in on a machine with nothing but git and Node's npm: `node tool/bootstrap.mjs SCRIPT [arguments]`.
 *
 * Promises: plain Node 20, no dependency. Dependencies are installed from the lockfile when, and only when, what is
 * installed differs from it; the pinned Bun is taken from them and its version checked; then Bun runs the script with
 * the arguments and its exit code is ours. Nothing is written outside the checkout but the tools' own caches.
 */
import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");

/** Smaller ones are the stand-in of npm's package `bun`, which only its install script replaces. */
const bunBytesMin = 1_000_000;

function main() {
  const [script, ...rest] = process.argv.slice(2);
  if (script === undefined) fail("usage: node tool/bootstrap.mjs SCRIPT [arguments]");
  if (Number(process.versions.node.split(".")[0]) < 20) fail(`Node 20 or newer is needed, this is ${process.version}`);
  const version = json(join(root, "package.json")).devDependencies.bun;
  let bun = installed() ? findBun(version) : undefined;
  if (bun === undefined) {
    install();
    bun = findBun(version);
  }
  if (bun === undefined) {
    fail(`Bun ${version} for ${process.platform}-${process.arch} is not among the installed packages: is npm told to omit optional ones?`);
  }
  run(bun, [join(root, script), ...rest]);
}

/** Whether node_modules holds what the lockfile says: npm writes a lockfile of its own there as the last step. */
function installed() {
  const hidden = join(modules, ".package-lock.json");
  if (!existsSync(hidden)) return false;
  const wanted = json(join(root, "package-lock.json")).packages;
  const present = json(hidden).packages;
  const same = (path) => present[path]?.version === wanted[path]?.version && present[path]?.integrity === wanted[path]?.integrity;
  return (
    Object.keys(present).every(same) &&
    Object.keys(wanted).every((path) => path === "" || (wanted[path].optional && !(path in present)) || same(path))
  );
}

function install() {
  console.error("installing the dependencies from the lockfile");
  // npm tells its scripts where it is; called by hand, it is on the PATH.
  const cli = process.env.npm_execpath;
  const [command, ...before] = cli?.endsWith(".js") || cli?.endsWith(".cjs") ? [process.execPath, cli] : ["npm"];
  const result = spawnSync(command, [...before, "ci", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...home() },
  });
  if (result.error) fail(`npm could not be run (${result.error.message}): install Node's npm`);
  if (result.status !== 0) fail("npm ci failed: see its message above");
}

/** npm, Bun and Go keep their caches under HOME; where that cannot be written, they go into the checkout. */
function home() {
  try {
    accessSync(process.env.HOME ?? "", constants.W_OK);
    return {};
  } catch {
    const path = join(root, ".cache", "home");
    mkdirSync(path, { recursive: true });
    return { HOME: path, npm_config_cache: join(path, ".npm") };
  }
}

/** The executable that is exactly `version`: of the platform's package, or where install scripts ran, of `bun` itself. */
function findBun(version) {
  const scope = join(modules, "@oven");
  const packages = existsSync(scope) ? readdirSync(scope).filter((name) => name.startsWith("bun-")) : [];
  const candidates = [...packages.sort().map((name) => join(scope, name, "bin", "bun")), join(modules, "bun", "bin", "bun.exe")];
  for (const path of candidates) {
    if (!existsSync(path) || statSync(path).size < bunBytesMin) continue;
    const answer = spawnSync(path, ["--version"], { encoding: "utf8" });
    if (answer.status === 0 && answer.stdout.trim() === version) return path;
  }
  return undefined;
}

function run(bun, args) {
  const path = [dirname(bun), join(modules, ".bin"), process.env.PATH ?? ""].join(delimiter);
  const child = spawn(bun, args, { stdio: "inherit", env: { ...process.env, ...home(), PATH: path } });
  // A terminal gives Ctrl-C to the child as well, and a second one would cut its drain short.
  process.on("SIGINT", () => process.stdin.isTTY || child.kill("SIGINT"));
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.on("SIGHUP", () => child.kill("SIGHUP"));
  child.on("error", (cause) => fail(`Bun could not be run: ${cause.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function json(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function fail(message) {
  console.error(`logferry: ${message}`);
  process.exit(1);
}

main();
