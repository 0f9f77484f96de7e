/**
 * Debian's packages that the tests need: programs that a real host or a real reader has, and the browser.
 *
 * Promises: what is on the PATH is taken as it is; what is missing is installed by apt-get where we are root, all in one
 * run, or is an error that names the package and the command. Nothing is left out for want of one.
 */

/** A command the tests start, and Debian's package that has it. */
const packages = {
  gzip: "gzip",
  zstd: "zstd",
  strip: "binutils",
  shellcheck: "shellcheck",
  valgrind: "valgrind",
  "systemd-analyze": "systemd",
  unshare: "util-linux",
  mount: "mount",
  "mkfs.ext4": "e2fsprogs",
} as const;

/**
 * Sees to it that every command of `packages` is there. Rejects with the commands that are missing and how to get them
 * when they are and we may not install, or when apt-get fails.
 */
export async function ensurePackages(): Promise<void> {
  if (process.platform !== "linux") return;
  const missing = Object.entries(packages).filter(([command]) => find(command) === undefined);
  if (missing.length === 0) return;
  await install([...new Set(missing.map(([, name]) => name))]);
  const absent = missing.filter(([command]) => find(command) === undefined).map(([command, name]) => `${command} (package ${name})`);
  if (absent.length > 0) throw new Error(`installed, and still not on the PATH: ${absent.join(", ")}`);
}

/**
 * The path of a Chromium for the tests of the page: `CHROMIUM` from the environment, one on the PATH, or Debian's package.
 * Rejects with what to do otherwise.
 */
export async function ensureChromium(): Promise<string> {
  const browser = (): string | undefined =>
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"].map(find).find((path) => path !== undefined);
  const known = process.env["CHROMIUM"] ?? browser();
  if (known !== undefined) return known;
  await install(["chromium"], "name an executable in the variable CHROMIUM");
  const installed = browser();
  if (installed === undefined) throw new Error("apt-get installed chromium, and it is not on the PATH: name its executable in the variable CHROMIUM");
  return installed;
}

/** What mkfs and losetup are called by lies where a plain user's PATH does not look. */
function find(command: string): string | undefined {
  return Bun.which(command) ?? Bun.which(command, { PATH: "/usr/sbin:/sbin" }) ?? undefined;
}

async function install(names: readonly string[], otherwise?: string): Promise<void> {
  const advice = `On Debian: apt-get install ${names.join(" ")}${otherwise === undefined ? "" : `; or ${otherwise}`}`;
  const apt = Bun.which("apt-get");
  if (apt === null || process.getuid?.() !== 0) throw new Error(`the tests need ${names.join(", ")}, which this machine lacks. ${advice}`);
  console.error(`installing Debian's ${names.join(", ")} (once)`);
  // Another one may hold the lock of dpkg just now.
  for (const words of [["update"], ["-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends", ...names]]) {
    const step = Bun.spawn([apt, ...words], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const [said, code] = await Promise.all([new Response(step.stderr).text(), step.exited]);
    if (code !== 0) throw new Error(`apt-get ${words.join(" ")} failed. ${advice}:\n${said}`);
  }
}

if (import.meta.main) {
  await ensurePackages();
  console.log(await ensureChromium());
}
