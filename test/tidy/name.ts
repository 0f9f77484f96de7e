/** Names that must be equal: the folder of a component, its entry in the registry, and the `type` of its kind. */
import type { Violation } from "./source.ts";

/** `entries` is the registry as loaded, `folders` the names below the stage's folder. */
export function checkNames(stage: string, folders: readonly string[], entries: Readonly<Record<string, { readonly type: string }>>): Violation[] {
  const path = `src/${stage}/registry.ts`;
  const report = (message: string): Violation => ({ path, line: 1, message });
  return [
    ...Object.entries(entries)
      .filter(([name, kind]) => kind.type !== name)
      .map(([name, kind]) => report(`the entry ${name} holds the kind with type ${kind.type}: one name for both`)),
    ...Object.keys(entries)
      .filter((name) => !folders.includes(name))
      .map((name) => report(`the entry ${name} has no folder src/${stage}/${name}/: name the folder like the entry`)),
    ...folders.filter((name) => !(name in entries)).map((name) => report(`the folder src/${stage}/${name}/ has no entry: add its line`)),
  ];
}
