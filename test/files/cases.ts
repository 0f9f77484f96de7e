/**
 * What happens to log files, row by row of the table of what is owed to them; each is played by a shell while we run and while we are down.
 *
 * | row | here | beside it |
 * |---|---|---|
 * | append, in bursts, byte by byte | append | |
 * | rename and create | rename | `test/rotate` under load and kills, `kill.test.ts` |
 * | rename out of the globs | out of the globs | `rotation.test.ts` |
 * | copytruncate | copytruncate | `rotation.test.ts` |
 * | copies compressed | compressed | `copies.test.ts`, `compressed.test.ts`: each row of its table |
 * | delete while lines are left | delete | `deleted.test.ts`: the bound |
 * | delete and create, inode reused | anew | `identity.test.ts`, `nfs.test.ts` |
 * | symlink, switched; hard links, two globs | symlink, one reading | `hostile.test.ts` |
 * | a folder that did not exist | new folder | |
 * | permission, directory, FIFO, vanishes | not a file, vanishes | `hostile.test.ts` of the source and of test/integration |
 * | NUL runs, byte order mark, other encodings | | `text.test.ts`, `pipeline/lines.test.ts` |
 * | a line longer than the bound | long line | `long.test.ts` |
 * | NUL runs, invalid UTF-8, BOM, UTF-16 | NULs | `text.test.ts`, `pipeline/lines.test.ts` |
 * | empty lines, CRLF, no line end | line ends, no end | `rotation.test.ts`, `pipeline/lines.test.ts` |
 * | many files, descriptors | descriptors | `bench/idle.ts`, `turns.test.ts` |
 * | one busy file beside quiet ones | busy | `turns.test.ts`, `bench/fairness.ts` |
 * | a backlog | backlog | `turns.test.ts`, `backlog.test.ts` |
 * | disk errors, stale handles | | `nfs.test.ts`, `listing.test.ts` |
 * | the clock steps | | `clock.test.ts` |
 * | start, ignore_older, exclude | start, older, exclude | `rotation.test.ts` |
 * | identity: equal first bytes, copies | alike, copytruncate | `identity.test.ts`: each row of its table |
 * | identity: a last line without an end | partial | `rotation.test.ts` |
 */

export interface Case {
  readonly name: string;
  readonly globs: readonly string[];
  readonly config?: Readonly<Record<string, unknown>>;
  /** Before anything else; all of it has arrived before `happens`. */
  readonly first: string;
  readonly happens: string;
  /** Records beside the numbered ones, by text, in any order. */
  readonly texts?: readonly string[];
  /** Numbered lines that are not owed: what it is, and why. */
  readonly lost?: { readonly from: number; readonly to: number; readonly why: string };
  /** It makes sense in one of the two only, and why. */
  readonly only?: { readonly when: When; readonly why: string };
  /** So long what should not come could still come; it is looked for later than elsewhere, and why. */
  readonly later?: { readonly ms: number; readonly why: string };
  /** Fault codes that are counted. */
  readonly codes?: readonly string[];
}

export type When = "while running" | "while we are down";

/** A daemon keeps its descriptor over the rename, and writes on until it is told to open its log anew. */
const daemon = `exec 3>> app.log; seq -f "n=%.0f held" $n $((n + 9)) >&3; n=$((n + 10));`;
const stillWrites = `seq -f "n=%.0f held" $n $((n + 4)) >&3; n=$((n + 5)); exec 3>&-;`;

/** A compressed copy is looked into once it is quiet, and once the original is let go, five seconds after it was deleted. */
const later = { ms: 8000, why: "a compressed copy is looked into when its original is let go" };

export const cases: readonly Case[] = [
  {
    name: "compressed: a rotated file that was read is not read again",
    globs: ["app.log*"],
    first: "w app.log 40",
    happens: `mv app.log app.log.1; w app.log 3; moment; gzip app.log.1; w app.log 3; mv app.log.1.gz app.log.2.gz`,
    later,
  },
  {
    name: "compressed: one that was read in part goes on where we were, zstd too",
    globs: ["app.log*"],
    first: "w app.log 40",
    happens: `w app.log 500; mv app.log app.log.1; w app.log 5; zstd -q --rm app.log.1; w app.log 5`,
    later,
  },
  {
    name: "compressed: one that nobody has seen is read whole, of several members too",
    globs: ["app.log*"],
    first: "w app.log 4",
    happens: `w old 300; gzip old; w more 300; gzip more; cat old.gz more.gz > app.log.7.gz; rm old.gz more.gz; w app.log 3`,
    later: { ms: 2500, why: "as long as another look into it takes" },
  },
  {
    name: "compressed: a copy of what is cut then (copytruncate and compress)",
    globs: ["app.log*"],
    first: "w app.log 40",
    happens: `w app.log 30; cp app.log app.log.1; : > app.log; gzip app.log.1; w app.log 10`,
    later: { ms: 4000, why: "a compressed copy is looked into when it is quiet" },
  },
  {
    name: "NULs: a writer that keeps its place while its file is cut",
    globs: ["app.log"],
    first: `w app.log 40`,
    happens: `exec 3<> app.log; cat <&3 > kept; : > app.log; seq -f "n=%.0f kept its place" $n $((n + 9)) >&3; n=$((n + 10)); exec 3>&-; w app.log 5`,
  },
  {
    name: "append: in bursts and byte by byte, cut inside a character and inside a line end",
    globs: ["app.log"],
    first: "w app.log 5",
    happens: `w app.log 2000; for part in 'gr' '\\303' '\\266\\303\\237' 'e\\r' '\\n'; do say app.log "$part"; moment; done; w app.log 1`,
    texts: ["größe\r"],
  },
  {
    name: "rename and create, the writer goes on in the old file",
    globs: ["app.log"],
    first: "w app.log 5",
    happens: `${daemon} mv app.log app.log.1; ${stillWrites} w app.log 5`,
  },
  {
    name: "rename and create, several times between two looks",
    globs: ["app.log*"],
    first: "w app.log 5",
    happens: `for i in 1 2 3 4 5 6; do for j in 5 4 3 2 1; do [ -e app.log.$j ] && mv app.log.$j app.log.$((j + 1)); done; w app.log 3; mv app.log app.log.1; w app.log 50; done`,
  },
  {
    name: "rename and create, with a date instead of a number",
    globs: ["app*.log"],
    first: "w app.log 5",
    happens: `w app.log 5; mv app.log app-2026-11-22.log; w app.log 5; moment; mv app.log app-2026-11-23.log; w app.log 5`,
  },
  {
    name: "rename out of the globs: the old file is drained to its end",
    globs: ["app.log"],
    first: "w app.log 5",
    happens: `${daemon} mv app.log old-and-elsewhere; ${stillWrites} w app.log 500`,
  },
  {
    name: "rename into another folder: the open file is drained to its end",
    globs: ["app.log"],
    first: "w app.log 5",
    happens: `${daemon} mkdir -p archive; mv app.log archive/app.log.1; moment; ${stillWrites} w app.log 5`,
    only: { when: "while running", why: "a file that has gone elsewhere while nobody held it can only be found by the globs" },
  },
  {
    name: "rename into another folder of the globs",
    globs: ["app.log", "archive/*"],
    first: "w app.log 5",
    happens: `w app.log 5; mkdir -p archive; mv app.log archive/app.log.1; w app.log 5`,
  },
  {
    name: "copytruncate: new content from 0, the copy is not read again",
    globs: ["app.log*"],
    first: "w app.log 40",
    happens: `cp app.log app.log.1; : > app.log; w app.log 3; moment; w app.log 3`,
  },
  {
    name: "copytruncate: what was not read yet is taken from the copy, the new content has grown past the old offset",
    globs: ["app.log*"],
    first: "w app.log 40",
    happens: `w app.log 20; cp app.log app.log.1; : > app.log; w app.log 400`,
  },
  {
    name: "copytruncate without the copy in the globs: new content from 0",
    globs: ["app.log"],
    first: "w app.log 40",
    happens: `cp app.log app.log.1; : > app.log; w app.log 400`,
  },
  {
    name: "copytruncate of a copy that rotates on",
    globs: ["app.log*"],
    first: "w app.log 40",
    happens: `cp app.log app.log.1; : > app.log; w app.log 30; moment; mv app.log.1 app.log.2; cp app.log app.log.1; : > app.log; w app.log 20`,
  },
  {
    name: "delete while we still have lines to read: drained from the open descriptor",
    globs: ["app.log"],
    first: "w app.log 5",
    happens: `w app.log 5000; rm app.log`,
    only: { when: "while running", why: "what is deleted while nobody holds it open is gone" },
  },
  {
    name: "delete and create anew under the same name, the inode used again: from 0",
    globs: ["app.log"],
    first: "w app.log 30",
    // Until the inode is the same again, where the file system hands them out anew.
    happens: `i=$(stat -c %i app.log); rm app.log; for t in $(seq 40); do : > app.log; [ $(stat -c %i app.log) = $i ] && break; mv app.log other-$t; done
w app.log 5; moment; rm app.log; w app.log 300`,
    // While we are down nobody holds the first of the two open.
    lost: { from: 30, to: 35, why: "deleted before anybody could read it" },
  },
  {
    name: "alike: two files with equal first bytes are two files",
    globs: ["*.log"],
    first: `for f in a b; do for i in 1 2 3; do say $f.log 'started\\n'; done; done`,
    happens: `say c.log 'started\\nstarted\\nstarted\\n'; say a.log 'more\\n'`,
    texts: [...Array.from({ length: 9 }, () => "started"), "more"],
  },
  {
    name: "symlink to the file, switched to another one: the old one is drained, the new one followed",
    globs: ["current"],
    first: `w one 5; ln -s one current`,
    happens: `w one 5; w two 5; ln -sfn two current; moment; w one 5; w two 5`,
    only: { when: "while running", why: "with the link alone in the globs nothing leads to the old file once it is switched" },
  },
  {
    name: "symlink to a folder, switched to another one (Kubernetes)",
    globs: ["current/app.log", "releases/*/app.log"],
    first: `mkdir -p releases/1 releases/2; w releases/1/app.log 5; ln -s releases/1 current`,
    happens: `w current/app.log 5; ln -sfn releases/2 current; w current/app.log 5; w releases/1/app.log 5`,
  },
  {
    name: "one reading: hard links, symlinks and two globs for one file",
    globs: ["app.log", "app.*", "*.link", "hard"],
    first: `w app.log 5; ln app.log hard; ln -s app.log soft.link`,
    happens: `w app.log 5; rm hard; w app.log 5`,
  },
  {
    name: "new folder: a file appears where no folder was",
    globs: ["**/*.log"],
    first: "w app.log 1",
    happens: `mkdir -p x/y/z; w x/y/z/deep.log 5; moment; w x/flat.log 5; mkdir -p x/.hidden; echo hidden > x/.hidden/no.log`,
  },
  {
    name: "new folder: braces and excludes",
    globs: ["{web,db}/**/*.{log,err}"],
    config: { exclude: ["debug-*", "**/private/**"] },
    first: "mkdir web; w web/a.log 3",
    happens: `mkdir -p db/x web/private cache; w db/x/b.err 3; for no in db/x/debug-1.log web/private/p.log cache/c.log db/x/d.txt; do echo no > $no; done; w web/a.log 3`,
  },
  {
    name: "not a file: folders, pipes and broken links beside it, and in its place",
    globs: ["*.log"],
    first: `w app.log 5; mkdir folder.log; mkfifo pipe.log; ln -s nowhere broken.log`,
    happens: `mv app.log kept; mkdir app.log; moment; moment; rmdir app.log; w app.log 5`,
  },
  {
    name: "vanishes between listing and opening, again and again",
    globs: ["*.log"],
    first: "w app.log 5",
    happens: `for i in $(seq 300); do : > gone-$i.log; rm gone-$i.log; done; w app.log 5`,
  },
  {
    name: "long line: cut, its rest skipped, what follows is whole",
    globs: ["app.log"],
    config: { line_bytes_max: "2000B" },
    first: "w app.log 5",
    happens: `head -c 3000000 /dev/zero | tr '\\0' x >> app.log; moment; say app.log 'tail of it\\n'; w app.log 5`,
    texts: ["x".repeat(2000)],
    codes: ["file_line_truncated"],
  },
  {
    name: "line ends: empty lines and CRLF are as they are",
    globs: ["app.log"],
    first: `say app.log 'a\\r\\n\\n'`,
    happens: `say app.log '\\n\\r\\nb\\n'`,
    texts: ["a\r", "", "", "\r", "b"],
  },
  {
    name: "no end: a line that waits for its end is not taken",
    globs: ["app.log"],
    first: "w app.log 2",
    happens: `say app.log 'n=2 half'; moment; moment; moment; moment; say app.log ' and half\\n'; n=3`,
  },
  {
    name: "partial: the last line of a rotated file is taken without its end",
    globs: ["app.log*"],
    first: "w app.log 2",
    happens: `say app.log 'no end'; mv app.log app.log.1; w app.log 2`,
    texts: ["no end"],
  },
  {
    name: "partial: the last line of a deleted file is taken without its end",
    globs: ["app.log"],
    first: "w app.log 2",
    happens: `say app.log 'no end'; moment; rm app.log`,
    texts: ["no end"],
    only: { when: "while running", why: "what is deleted while nobody holds it open is gone" },
  },
  {
    name: "descriptors: more files than may be open, all growing",
    globs: ["*.log"],
    config: { open_files_max: 3 },
    first: `for i in $(seq 12); do w $i.log 1; done`,
    happens: `for round in 1 2 3; do for i in $(seq 12); do w $i.log 2; done; moment; done`,
  },
  {
    name: "busy: one file at full speed beside quiet ones",
    globs: ["*.log"],
    first: `for i in $(seq 5); do w $i.log 1; done`,
    happens: `for round in 1 2 3 4 5 6; do w busy.log 40000; for i in $(seq 5); do w $i.log 1; done; done`,
  },
  {
    name: "backlog: many files from before",
    globs: ["*.log"],
    config: { order: "newest_first", open_files_max: 4 },
    first: "w app.log 1",
    happens: `for i in $(seq 12); do w old-$i.log 3000; touch -d "$i days ago" old-$i.log; done; w app.log 1`,
  },
  {
    name: "start: end leaves out what was there at the first start and nothing else",
    globs: ["*.log"],
    config: { start: "end" },
    first: "",
    happens: `w a.log 5; moment; moment; w a.log 5`,
  },
  {
    name: "older: left alone until it is written again",
    globs: ["*.log"],
    config: { ignore_older: "1h" },
    first: "w app.log 1",
    happens: `w old.log 2; touch -d '3 hours ago' old.log; w app.log 1; moment; moment; w old.log 1`,
    only: { when: "while running", why: "found for the first time after it was written again it is not old" },
  },
];
