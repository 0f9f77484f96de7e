/** Every kind of source, one line each; `type` in the configuration picks from here. */
import type { SourceKind } from "../core/contract.ts";
import { file } from "./file/source.ts";
import { http } from "./http/source.ts";
import { loki } from "./loki/source.ts";
import { stdin } from "./stdin/source.ts";

export const sourceKinds: Readonly<Record<string, SourceKind>> = {
  file,
  http,
  loki,
  stdin,
};
