/**
 * The configuration of the control API: where it listens, and what opens the doors that change something.
 *
 * Promises: beyond this machine it listens only with a token, so that nobody opens it to a network by a typing slip.
 */
import * as v from "valibot";
import { listenAddress, text } from "../core/values.ts";

/** True for an address that only this machine can reach: `localhost`, 127.0.0.0/8, `::1`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** `control:` of the configuration. An absent `socket` means `{spool dir}/control.sock`: the agent knows the directory. */
export const controlSchema = v.pipe(
  v.strictObject({
    listen: v.optional(v.pipe(listenAddress(), v.description("Address of the control API and of the status page.")), "127.0.0.1:8470"),
    socket: v.optional(v.pipe(text(), v.description("Unix socket for the commands, mode 0600; `control.sock` in the spool's folder when absent."))),
    token_file: v.optional(v.pipe(text(), v.description("File with the bearer token; must be set to listen beyond this machine."))),
  }),
  v.forward(
    v.partialCheck(
      [["listen"], ["token_file"]],
      ({ listen, token_file }) => isLoopback(listen.host) || token_file !== undefined,
      "must be set to listen beyond this machine; or listen on 127.0.0.1",
    ),
    ["token_file"],
  ),
);

export type ControlConfig = v.InferOutput<typeof controlSchema>;
