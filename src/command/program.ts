/**
 * The command line: argv to a command, and its exit code.
 *
 * Answers of the commands go to stdout, help too when it was asked for; what is wrong with the call goes to stderr, with the nearest
 * command or option, and ends with 2. A command is loaded when it is called: the service keeps no other in memory.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { defaultFile } from "../config/load.ts";
import { suggestion } from "../config/nearest.ts";
import { Fault } from "../core/fault.ts";
import { version } from "../core/version.ts";
import type * as check from "./check.ts";
import { helpOf, plannedCommands } from "./help.ts";
import type { Io } from "./io.ts";
import type * as run from "./run.ts";
import type * as sinks from "./sinks.ts";
import type * as spool from "./spool.ts";
import type * as status from "./status.ts";
import type * as verify from "./verify.ts";
import type * as versions from "./version.ts";

/** Runs what `argv` (without the program's own name) asks for. Rejects with a Bug, or what else was not foreseen. */
export async function runProgram(argv: readonly string[], io: Io, runAgent: run.RunAgent): Promise<number> {
  const written: Promise<void>[] = [];
  let exit = 0;
  const program = createProgram(io, written, runAgent, (code) => {
    exit = code;
  });
  try {
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return 2;
    }
    const words = argv[0] === "help" ? [...argv.slice(1), "--help"] : [...argv];
    const unknown = unknownCommand(program, words);
    if (unknown !== undefined) {
      io.stderr(unknown);
      return 2;
    }
    await program.parseAsync(words, { from: "user" });
    return exit;
  } catch (cause) {
    if (cause instanceof CommanderError) return usage(cause, io);
    if (!(cause instanceof Fault)) throw cause;
    io.stderr(`logferry: ${cause.message}\n${cause.hint === undefined ? "" : `${cause.hint}\n`}`);
    return 1;
  } finally {
    await Promise.all(written);
  }
}

/** Commander has its own code (1) for a wrong call; ours is 2, with a pointer to the help. */
function usage(cause: CommanderError, io: Io): number {
  if (cause.exitCode === 0) return 0;
  if (cause.code !== "commander.help") io.stderr(`logferry: ${cause.message.replace(/^error: /, "")}\nSee \`logferry help\`.\n`);
  return 2;
}

/** What to say of the first word that is no command, also where only help is asked for. */
function unknownCommand(program: Command, words: readonly string[]): string | undefined {
  let inside = program;
  for (const word of words) {
    const names = inside.commands.map((known) => known.name());
    if (word.startsWith("-") || names.length === 0) return undefined;
    const next = inside.commands.find((known) => known.name() === word);
    if (next === undefined) {
      if (inside === program && plannedCommands.has(word))
        return `logferry: \`${word}\` is not in this version yet\nSee \`logferry help\` for what is.\n`;
      const title = inside === program ? "commands" : `commands of ${inside.name()}`;
      return `logferry: unknown command \`${word}\`\n${suggestion(word, inside === program ? [...names, "help"] : names, title)}\nSee \`logferry help\`.\n`;
    }
    inside = next;
  }
  return undefined;
}

function filesCount(text: string): number {
  if (text === "all") return Number.POSITIVE_INFINITY;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It is a number, or all.");
}

function createProgram(io: Io, written: Promise<void>[], runAgent: run.RunAgent, done: (exit: number) => void): Command {
  const program = new Command("logferry");
  program
    .exitOverride()
    .configureOutput({
      writeOut: (text) => written.push(io.stdout(text)),
      writeErr: (text) => io.stderr(text),
      // Told by `usage`, once.
      outputError: () => {},
      getOutHelpWidth: () => Math.min(io.tty.columns, 100),
      getErrHelpWidth: () => Math.min(io.tty.columns, 100),
    })
    .configureHelp({ showGlobalOptions: false })
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command");
  const command = (parent: Command, name: string): Command => {
    const made = parent.command(name);
    const path = parent === program ? name : `${parent.name()} ${name}`;
    const { summary, description, after } = helpOf(path);
    return made.summary(summary).description(description).addHelpText("after", after).allowExcessArguments(false);
  };
  program.description(helpOf("").description).addHelpText("after", helpOf("").after);
  addCommands(program, command, { io, runAgent, done });
  return program;
}

interface Parts {
  readonly io: Io;
  readonly runAgent: run.RunAgent;
  readonly done: (exit: number) => void;
}

function addCommands(program: Command, command: (parent: Command, name: string) => Command, { io, runAgent, done }: Parts): void {
  const config = (): Option => new Option("--config <file>", "the configuration").default(defaultFile);
  const json = (): Option => new Option("--json", "print JSON for machines");
  const dir = (): Option => new Option("--dir <dir>", "the spool's directory, instead of the one the configuration names");
  command(program, "run")
    .addOption(config())
    .option("--once", "read everything that is there now, deliver it, and end")
    .action(async (options: run.RunOptions) => done(await (await import("./run.ts")).run(options, io, runAgent)));
  command(program, "check")
    .addOption(config())
    .option("--offline", "only read the configuration, ask nobody")
    .addOption(json())
    .action(async (options: check.CheckOptions) => done(await (await import("./check.ts")).run(options, io)));
  command(program, "status")
    .addOption(config())
    .addOption(json())
    .addOption(new Option("--files <number>", "so many files of each source, or all").argParser(filesCount))
    .action(async (options: status.StatusOptions) => done(await (await import("./status.ts")).run(options, io)));
  const inside = command(program, "spool").helpCommand(false);
  command(inside, "ls")
    .addOption(dir())
    .addOption(config())
    .addOption(json())
    .action(async (options: spool.SpoolOptions) => done(await (await import("./spool.ts")).list(options, io)));
  command(inside, "cat")
    .option("--from <seq>", "first sequence", sequence)
    .option("--to <seq>", "last sequence", sequence)
    .option("--source <name>", "only records of this source")
    .addOption(dir())
    .addOption(config())
    .action(async (options: spool.CatOptions) => done(await (await import("./spool.ts")).cat(options, io)));
  command(inside, "verify")
    .addOption(dir())
    .addOption(config())
    .addOption(json())
    .action(async (options: spool.SpoolOptions) => done(await (await import("./spool.ts")).verify(options, io)));
  command(program, "verify")
    .option("--sink <name>", "only this sink")
    .option("--deep", "compare contents too: files are read, objects asked for their digest")
    .addOption(config())
    .addOption(json())
    .action(async (options: verify.VerifyOptions) => done(await (await import("./verify.ts")).run(options, io)));
  const outside = command(program, "sinks").helpCommand(false);
  command(outside, "forget")
    .argument("<name>", "the sink, as it was called in the configuration")
    .option("--dry-run", "only say what would be given up")
    .addOption(config())
    .addOption(json())
    .action(async (name: string, options: sinks.ForgetOptions) => done(await (await import("./sinks.ts")).forget(name, options, io)));
  command(program, "version")
    .addOption(json())
    .action(async (options: versions.VersionOptions) => done(await (await import("./version.ts")).run(options, io)));
}

function sequence(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new InvalidArgumentError("A sequence is a whole number from 0 on.");
}
