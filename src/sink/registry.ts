/** Every kind of sink, one line each; `type` in the configuration picks from here. */
import type { SinkKind } from "../core/contract.ts";
import { directory } from "./directory/sink.ts";
import { http } from "./http/sink.ts";
import { loki } from "./loki/sink.ts";
import { s3 } from "./s3/sink.ts";

export const sinkKinds: Readonly<Record<string, SinkKind>> = {
  directory,
  http,
  loki,
  s3,
};
