/** What `logferry help` says, in one place, so that it can be read as one text. */
import { defaultFile } from "../config/load.ts";

export interface Help {
  /** One line in the list of commands. */
  summary: string;
  /** What it does, above the options. */
  description: string;
  /** Examples, exit codes and where to look, below the options. */
  after: string;
}

/** Commands of later versions: whoever types one has made no slip. */
export const plannedCommands: ReadonlySet<string> = new Set(["top", "tap", "dead", "doctor", "config", "support-bundle"]);

const exits = `
Exit codes: 0 fine, 1 fault, 2 usage or configuration, 3 drain cut short (what was
not delivered lies safe in the spool), 70 a bug in logferry.`;

const texts: Readonly<Record<string, Help>> = {
  "": {
    summary: "",
    description: "Ships logs from hosts to S3 and HTTP: loses nothing, repeats nothing, proves it.",
    after: `
Start here:
  logferry check                     is the configuration right, and would it work?
  logferry run                       run in the foreground until Ctrl-C
  logferry status                    how is the running instance doing?

The configuration is ${defaultFile} unless --config says otherwise; YAML, or JSON
when its name ends in .json. docs/config.md lists every key.
${exits}`,
  },
  run: {
    summary: "run until told to stop",
    description: "Reads the sources, spools what they give, and delivers it to the sinks until it is told to stop.",
    after: `
Examples:
  logferry run
  logferry run --config ./logferry.yaml
  logferry run --once                a backfill, or a job under cron: deliver what is there, then end

SIGTERM or Ctrl-C drains: the sources stop, and what is spooled is delivered for as long as
drain_timeout allows. A second one ends at once. Nothing is lost either way: what is in the
spool is delivered after the next start. The log goes to stderr.
${exits}`,
  },
  check: {
    summary: "check the configuration, the sources and the sinks",
    description: "Says every mistake in the configuration at once, then asks each source and sink whether it would work.",
    after: `
Examples:
  logferry check --config ./logferry.yaml
  logferry check --offline           before a deployment, where the sinks cannot be reached
  logferry check --json              a list of problems; those with severity: advice do not count as such

Exit codes: 0 it would work, 1 a source or sink would not work, 2 mistakes in the configuration.`,
  },
  status: {
    summary: "show how the running instance is doing",
    description: "Shows state, reasons and progress of the running instance, through its control API.",
    after: `
Examples:
  logferry status
  logferry status --files all        every file: where we are in it, and since when
  watch logferry status
  logferry status --json | jq .sinks

It asks the socket in the spool's directory first, then the address of control.listen.
Exit codes: 0 an instance answered, 1 none did, 2 configuration.`,
  },
  spool: {
    summary: "look inside a spool",
    description: "Looks inside a spool, also while it is in use or damaged. Changes nothing in it.",
    after: `
Examples:
  logferry spool ls
  logferry spool cat --source nginx | tail
  logferry spool verify --dir /mnt/rescued/logferry`,
  },
  "spool ls": {
    summary: "list segments, frames and positions",
    description: "Lists the segments, oldest first, and how far each source has been read.",
    after: "",
  },
  "spool cat": {
    summary: "print records as NDJSON",
    description: "Prints the records of the spool as NDJSON, in the order of their sequence. What is damaged is left out.",
    after: `
Examples:
  logferry spool cat --from 1000 --to 1099
  logferry spool cat --source nginx | jq .message`,
  },
  "spool verify": {
    summary: "check every checksum",
    description: "Reads the whole spool and checks every checksum; names the segment file of each damage.",
    after: `
Exit codes: 0 every checksum is right, 1 damage was found, 2 usage or configuration.`,
  },
  verify: {
    summary: "compare journal, spool and what lies in the bucket or folder",
    description:
      "Compares what each sink's journal says has arrived, what the spool holds, and what lies in the bucket or folder. Changes nothing, and may run beside a running instance.",
    after: `
It names what is missing, extra (of another copy of the spool), of a wrong size, claimed twice
(overlap) or by nothing (gap). The last thousand deliveries of a sink are compared one by one,
older objects by the sequences in their names. Needs s3:ListBucket; --deep s3:GetObject too.

Examples:
  logferry verify
  logferry verify --sink lake --deep
  logferry verify --json | jq '.sinks.lake.findings'

Exit codes: 0 all agrees, 1 it does not or could not be compared, 2 usage or configuration.`,
  },
  sinks: {
    summary: "give up what a former sink holds",
    description:
      "A sink that was taken out of the configuration keeps its claim on what it has not delivered: it fills the spool until it is forgotten.",
    after: `
Examples:
  logferry sinks forget lake --dry-run
  logferry sinks forget lake`,
  },
  "sinks forget": {
    summary: "give up what a sink that is not configured any more still holds",
    description: "Gives up what a sink that is not configured any more still holds, and says how much that is. The instance must be stopped.",
    after: `
The records go from the spool at the next start, unless another sink needs them.
Exit codes: 0 given up, 1 an instance runs, the sink is configured or holds nothing, 2 usage
or configuration.`,
  },
  version: {
    summary: "print the version",
    description: "Prints version, commit, runtime and platform of this executable.",
    after: "",
  },
};

/** The texts of a command by its words, `spool ls`; `""` is the program. */
export function helpOf(path: string): Help {
  return texts[path] ?? { summary: "", description: "", after: "" };
}
