/**
 * Six ways in which logs are rotated on real hosts. Each is a log in a folder of its own, whose lines are numbered from 0:
 * `w=NAME n=NUMBER …`.
 *
 * Old files are removed `keepMs` after they were last written. Two styles take lines away at once (delete and create, and a
 * symlink that is switched while the globs name the link alone): a collector that is killed before it has read them cannot have
 * them, so those two rotate only while `mayTake` says that it runs and holds the file open. What is in the file then and not read yet is for
 * it to drain.
 */
import {
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** The words of all lines are cut from this, so that they differ in length. */
const padding = "GET /index.html HTTP/1.1 200 512 some words to make a line as long as lines are in real access logs ";

export interface Style {
  readonly name: string;
  /** Globs below the style's folder: all names that its lines ever have, and the one that is written to. */
  readonly include: readonly string[];
  readonly live: string;
  /** Rotates only while the collector holds the file open. */
  readonly takes: boolean;
  /** Gives the log another file; `write` appends more lines to the old one meanwhile, as daemons do before they are told. */
  rotate(log: Log, write: (lines: number) => void): void;
}

/** One log: its folder, the file written to, what was written so far. */
export class Log {
  readonly style: Style;
  readonly dir: string;
  fd: number;
  lines = 0;
  rotations = 0;
  /** Lines in the current file, the number of its first, and the lines that lie in files without a name. */
  since = 0;
  first = 0;
  gone = 0;
  readonly #keepMs: number;

  constructor(style: Style, root: string, keepMs: number) {
    this.style = style;
    this.dir = join(root, style.name);
    this.#keepMs = keepMs;
    mkdirSync(this.dir, { recursive: true });
    this.fd = style.name === "link" ? dated(this) : openSync(this.path, "a");
  }

  get path(): string {
    return join(this.dir, "app.log");
  }

  /** Appends `count` lines in two writes, cut in the middle of a line. Returns its bytes. */
  write(count: number): number {
    let text = "";
    for (let i = 0; i < count; i++) text += `w=${this.style.name} n=${this.lines++} ${padding.slice(0, 20 + (this.lines % 80))}\n`;
    this.since += count;
    const half = text.length >> 1;
    writeSync(this.fd, text.slice(0, half));
    writeSync(this.fd, text.slice(half));
    return text.length;
  }

  rotate(): number {
    let bytes = 0;
    this.style.rotate(this, (lines) => (bytes += this.write(lines)));
    this.rotations++;
    this.since = 0;
    this.first = this.lines;
    if (this.style.takes) this.gone = this.lines;
    this.#expire(this.dir);
    return bytes;
  }

  /** Closes the file and begins a new one under the same name. */
  reopen(): void {
    closeSync(this.fd);
    this.fd = openSync(this.path, "a");
  }

  /** `app.log.N` becomes `app.log.N+1`, from `from` on, with whatever ending. */
  shift(from: number, ending = ""): void {
    const name = (n: number): string => `${this.path}.${n}${ending}`;
    let last = from;
    while (existsSync(name(last))) last++;
    for (; last > from; last--) renameSync(name(last - 1), name(last));
  }

  #expire(dir: string): void {
    const before = Date.now() - this.#keepMs;
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) this.#expire(path);
      else if (entry.isFile() && path !== this.path && statSync(path).mtimeMs < before) unlinkSync(path);
    }
  }
}

/** A new file with a dated name, and `current` switched to it in one step. */
function dated(log: Log): number {
  const name = `app-${new Date().toISOString().replaceAll(/[:.]/g, "")}-${log.rotations}.txt`;
  const fd = openSync(join(log.dir, name), "a");
  symlinkSync(name, join(log.dir, ".next"));
  renameSync(join(log.dir, ".next"), join(log.dir, "current"));
  return fd;
}

export const styles: readonly Style[] = [
  {
    name: "rename",
    include: ["app.log*"],
    live: "app.log",
    takes: false,
    rotate(log, write) {
      log.shift(1);
      renameSync(log.path, `${log.path}.1`);
      write(3);
      log.reopen();
    },
  },
  {
    name: "gzip",
    include: ["app.log*"],
    live: "app.log",
    takes: false,
    rotate(log, write) {
      if (existsSync(`${log.path}.1`)) {
        log.shift(2, ".gz");
        const { success } = Bun.spawnSync(["gzip", "-1", `${log.path}.1`]);
        if (!success) throw new Error("gzip failed");
        renameSync(`${log.path}.1.gz`, `${log.path}.2.gz`);
      }
      renameSync(log.path, `${log.path}.1`);
      write(3);
      log.reopen();
    },
  },
  {
    name: "copytruncate",
    include: ["app.log*"],
    live: "app.log",
    takes: false,
    rotate(log) {
      log.shift(1);
      copyFileSync(log.path, `${log.path}.1`);
      ftruncateSync(log.fd);
    },
  },
  {
    name: "move",
    include: ["app.log", "old/*"],
    live: "app.log",
    takes: false,
    rotate(log, write) {
      mkdirSync(join(log.dir, "old"), { recursive: true });
      renameSync(log.path, join(log.dir, "old", `app-${String(log.rotations).padStart(6, "0")}.log`));
      write(3);
      log.reopen();
    },
  },
  {
    name: "delete",
    include: ["app.log"],
    live: "app.log",
    takes: true,
    rotate(log, write) {
      unlinkSync(log.path);
      write(3);
      log.reopen();
    },
  },
  {
    name: "link",
    include: ["current"],
    live: "current",
    takes: true,
    rotate(log, write) {
      const fd = dated(log);
      write(3);
      closeSync(log.fd);
      log.fd = fd;
    },
  },
];

/**
 * Globs of all styles below `root`. `plain`: compressed names are left out, for who takes their bytes for lines; `live`: the names alone that
 * are written to.
 */
export function globs(root: string, names: "all" | "plain" | "live"): string[] {
  const of = (style: Style): readonly string[] => {
    if (names === "live") return [style.live];
    return names === "plain" && style.name === "gzip" ? ["app.log", "app.log.1"] : style.include;
  };
  return styles.flatMap((style) => of(style).map((glob) => join(root, style.name, glob)));
}
