/**
 * Completes package-lock.json after `npm install`: `bun tool/lockfile.ts`.
 *
 * A registry that carries the packages of some platforms only makes npm leave the others out, and then `npm ci` refuses
 * the lockfile everywhere. The missing ones are optional and never fetched where they do not fit: they get an entry with
 * their version and platform, read from their names. What cannot be known here is their digest.
 */
import { join } from "node:path";

export interface LockedPackage {
  version?: string;
  integrity?: string;
  cpu?: string[];
  dev?: boolean;
  engines?: unknown;
  libc?: string[];
  optional?: boolean;
  os?: string[];
  optionalDependencies?: Record<string, string>;
}

export interface Lockfile {
  packages: Record<string, LockedPackage>;
}

const systems = ["darwin", "linux", "win32", "android", "freebsd", "openharmony"];
const processors = ["arm64", "arm", "x64", "ia32", "ppc64", "riscv64", "s390x", "loong64"];

/** Optional dependencies that are named and have no entry, as `node_modules/NAME` with the entry each should have. */
export function missingEntries(lockfile: Lockfile): [path: string, entry: LockedPackage][] {
  const found: [string, LockedPackage][] = [];
  for (const [owner, { dev, optionalDependencies = {}, engines }] of Object.entries(lockfile.packages)) {
    for (const [name, version] of Object.entries(optionalDependencies)) {
      const path = `node_modules/${name}`;
      if (path in lockfile.packages || `${owner}/${path}` in lockfile.packages) continue;
      found.push([
        path,
        { version, ...platformOf(name), ...(dev === true ? { dev } : {}), optional: true, ...(engines === undefined ? {} : { engines }) },
      ]);
    }
  }
  return found;
}

/** `@oxc-parser/binding-linux-x64-musl` → linux, x64, musl. Throws for a name that tells no platform. */
function platformOf(name: string): LockedPackage {
  const words = name.split(/[-/]/);
  const os = systems.filter((system) => words.includes(system));
  const cpu = processors.filter((processor) => words.includes(processor));
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`${name} tells no platform: add its entry to package-lock.json by hand`);
  const libc = words.some((word) => word.startsWith("musl")) ? ["musl"] : words.some((word) => word.startsWith("gnu")) ? ["glibc"] : undefined;
  return { cpu, os, ...(libc === undefined ? {} : { libc }) };
}

if (import.meta.main) {
  const path = join(import.meta.dir, "..", "package-lock.json");
  const lockfile = (await Bun.file(path).json()) as Lockfile;
  const missing = missingEntries(lockfile);
  const { "": own = {}, ...rest } = lockfile.packages;
  const sorted = [...Object.entries(rest), ...missing].sort(([a], [b]) => (a < b ? -1 : 1));
  lockfile.packages = { "": own, ...Object.fromEntries(sorted) };
  if (missing.length > 0) await Bun.write(path, `${JSON.stringify(lockfile, null, 2)}\n`);
  console.log(`${missing.length} entries added`);
}
