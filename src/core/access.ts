/** The keys with which a far side lets us in, for the schema of every component that asks one over HTTP. */
import * as v from "valibot";
import { text } from "./values.ts";

const basic = () =>
  v.strictObject({
    username: v.pipe(text(), v.description("User name.")),
    password_file: v.pipe(text(), v.description("File with the password. Read again when it changes.")),
  });

const tls = () =>
  v.pipe(
    v.strictObject({
      ca_file: v.optional(v.pipe(text(), v.description("Certificates (PEM) of the issuers to trust, instead of the built-in ones."))),
      cert_file: v.optional(v.pipe(text(), v.description("Client certificate (PEM), with its chain; goes with key_file."))),
      key_file: v.optional(v.pipe(text(), v.description("Key (PEM) of the client certificate."))),
    }),
    v.check((input) => (input.cert_file === undefined) === (input.key_file === undefined), "cert_file and key_file must be set together, or neither"),
  );

/** The entries to spread into a map that has `url`. */
export const accessKeys = () => ({
  bearer_token_file: v.optional(v.pipe(text(), v.description("File with the token for `Authorization: Bearer`. Read again when it changes."))),
  basic: v.optional(v.pipe(basic(), v.description("User name and password for `Authorization: Basic`."))),
  tls: v.optional(v.pipe(tls(), v.description("Own issuers and a client certificate, for an https URL."))),
});

/** What `accessKeys` leaves after validation. */
export type Access = v.InferOutput<ReturnType<typeof accessSchema>>;
const accessSchema = () => v.object(accessKeys());

/** For `v.forward(v.partialCheck(oneCredential.keys, oneCredential.holds, oneCredential.message), ["basic"])` behind the map. */
export const oneCredential = {
  keys: [["bearer_token_file"], ["basic"]] as const,
  holds: ({ bearer_token_file, basic: given }: { readonly bearer_token_file?: unknown; readonly basic?: unknown }) =>
    bearer_token_file === undefined || given === undefined,
  message: "must not be set together with bearer_token_file",
};

/** For `v.forward(v.partialCheck(tlsNeedsHttps.keys, tlsNeedsHttps.holds, tlsNeedsHttps.message), ["tls"])` behind the map. */
export const tlsNeedsHttps = {
  keys: [["url"], ["tls"]] as const,
  holds: ({ url, tls: given }: { readonly url: string; readonly tls?: unknown }) => given === undefined || url.toLowerCase().startsWith("https:"),
  message: "needs a URL that begins with https://",
};
