/**
 * The real servers and the browser that tests run against; what is built lies in `.cache/bin` of the checkout.
 *
 * Promises: the exact version or an error that says how to get it; nothing is installed outside the checkout but
 * Go's own caches and Debian's chromium; a second call costs one stat.
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

/**
 * The path of a Chromium for the tests of the page: `CHROMIUM` from the environment, one on the PATH, or Debian's package, which is
 * installed when we are root where there is apt-get. Rejects with what to do otherwise.
 */
export async function ensureChromium(): Promise<string> {
  const known = process.env["CHROMIUM"] ?? chromiumOnPath();
  if (known !== undefined) return known;
  const advice = "Install Chromium (Debian: apt-get install chromium), or name an executable in the variable CHROMIUM";
  const apt = Bun.which("apt-get");
  if (apt === null || process.getuid?.() !== 0) throw new Error(`Chromium is missing. ${advice}`);
  console.error("installing Debian's chromium (once, takes a minute or two)");
  // Another one may hold the lock of dpkg just now.
  for (const words of [["update"], ["-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", "chromium"]]) {
    const step = Bun.spawn([apt, ...words], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const [said, code] = await Promise.all([new Response(step.stderr).text(), step.exited]);
    if (code !== 0) throw new Error(`apt-get ${words.join(" ")} failed. ${advice}:\n${said}`);
  }
  const installed = chromiumOnPath();
  if (installed === undefined) throw new Error(`apt-get installed chromium, and it is not on the PATH. ${advice}`);
  return installed;
}

function chromiumOnPath(): string | undefined {
  const found = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"].map((name) => Bun.which(name));
  return found.find((path) => path !== null) ?? undefined;
}

if (import.meta.main) {
  console.log(await ensureVersitygw());
  console.log(await ensureChromium());
}
