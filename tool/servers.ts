/**
 * The real servers that tests run against, built into `.cache/bin` of the checkout.
 *
 * Promises: the exact version or an error that says how to get it; nothing is written outside the checkout but
 * Go's own caches; a second call costs one stat.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

const versitygwVersion = "v1.7.0";
const binaries = join(import.meta.dir, "..", ".cache", "bin");

/**
 * The path of the S3 server versitygw, built by `go install` when it is missing (about three minutes cold).
 * Rejects with what to do when Go is missing or the build fails.
 */
export async function ensureVersitygw(): Promise<string> {
  // The version is part of the name: an executable made by `go install` does not know its own.
  const path = join(binaries, `versitygw-${versitygwVersion}`);
  if (existsSync(path)) return path;
  // Where Go's own archive puts it, without telling the PATH.
  const go = Bun.which("go") ?? Bun.which("go", { PATH: "/usr/local/go/bin" });
  if (go === null) {
    throw new Error(`versitygw ${versitygwVersion} is missing and Go is not on the PATH. Install Go 1.24 or newer, or put the executable at ${path}`);
  }
  // A folder for each process that builds, so that two at once do not see half an executable.
  const target = join(binaries, `building-${process.pid}`);
  mkdirSync(target, { recursive: true });
  try {
    console.error(`building versitygw ${versitygwVersion} (once, takes minutes)`);
    const build = Bun.spawn([go, "install", `github.com/versity/versitygw/cmd/versitygw@${versitygwVersion}`], {
      // Go's module cache is read-only by default, and where HOME is the checkout's own, that could not be deleted.
      env: { ...process.env, GOFLAGS: `${process.env["GOFLAGS"] ?? ""} -modcacherw`.trim(), CGO_ENABLED: "0", GOBIN: target },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [words, code] = await Promise.all([new Response(build.stderr).text(), build.exited]);
    if (code !== 0) throw new Error(`go install of versitygw ${versitygwVersion} failed (needs Go 1.24 or newer and a Go module proxy):\n${words}`);
    renameSync(join(target, "versitygw"), path);
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
  return path;
}

if (import.meta.main) console.log(await ensureVersitygw());
