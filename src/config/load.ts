/** Reads the configuration file from disk. What keeps it from being read is a mistake like any other, with a hint. */
import { hostname as machineName } from "node:os";
import type { Disk } from "../core/disk.ts";
import { describe, errnoOf } from "../core/fault.ts";
import { sinkKinds } from "../sink/registry.ts";
import { sourceKinds } from "../source/registry.ts";
import { parseConfig, whole, type Kinds, type Loaded } from "./config.ts";
import type { Mistake } from "./mistake.ts";
import type { Environment } from "./variables.ts";

/** All kinds this version has. */
export const kinds: Kinds = { sources: Object.values(sourceKinds), sinks: Object.values(sinkKinds) };

/** Where the configuration lies unless `--config` says otherwise. */
export const defaultFile = "/etc/logferry/logferry.yaml";

/** People write configurations; one of 1 MiB would be twenty thousand lines. */
const fileBytesMax = 1024 * 1024;

/** The configuration in the file at `path`, or every mistake. Never throws for what is in the file or about it. */
export async function load(
  path: string,
  environment: Environment,
  disk: Disk,
  hostname: string = machineName(),
  known: Kinds = kinds,
): Promise<Loaded> {
  const read = await readText(path, disk);
  if (typeof read !== "string") return { mistakes: [read] };
  return parseConfig(read, path, environment, hostname, known);
}

async function readText(path: string, disk: Disk): Promise<string | Mistake> {
  try {
    const found = await disk.stat(path);
    if (found === undefined) {
      return whole(path, "config_not_found", "there is no such file", `name yours with \`--config FILE\`; without it logferry reads ${defaultFile}`);
    }
    if (found.kind === "directory")
      return whole(
        path,
        "config_not_a_file",
        "is a directory, not a file",
        `name the file in it: \`--config ${path.replace(/\/$/, "")}/logferry.yaml\``,
      );
    if (found.kind !== "file") return whole(path, "config_not_a_file", "is not a regular file", "write the configuration into a file");
    if (found.bytes > fileBytesMax)
      return whole(path, "config_too_large", `is ${found.bytes} bytes long, more than ${fileBytesMax}`, "is this the right file?");
    await using file = await disk.open(path, "read");
    const bytes = new Uint8Array(found.bytes);
    let length = 0;
    while (length < bytes.byteLength) {
      const count = await file.read(bytes.subarray(length), length);
      if (count === 0) break;
      length += count;
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, length));
  } catch (cause) {
    if (cause instanceof TypeError) return whole(path, "config_syntax", "is not UTF-8 text", "save it as UTF-8");
    const hint = errnoOf(cause) === "EACCES" ? "run logferry as a user that may read it, or correct the file's owner and mode" : "";
    return whole(path, "config_unreadable", `cannot be read: ${describe(cause)}`, hint);
  }
}
