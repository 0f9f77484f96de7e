/** What the source and the sink `loki` say alike: where the API lies, who asks, and why no answer came. */
import { Bug } from "./assert.ts";
import { Fault } from "./fault.ts";
import { wayHint, type RequesterFaults } from "./requester.ts";

/**
 * The URL below which `/loki/api/v1/` lies, however it was written: base paths with and without slash, and the address for pushes that
 * other agents want. It may be shown.
 */
export function lokiBase(given: string): string {
  const url = new URL(given);
  return `${url.origin}${url.pathname.replace(/(?:\/loki\/api\/v1(?:\/push)?)?\/*$/, "")}`;
}

/** The header that names the tenant. */
export function tenantHeader(tenant: string | undefined): Record<string, string> {
  return tenant === undefined ? {} : { "X-Scope-OrgID": tenant };
}

/** For requests to the Loki at `place`. */
export function lokiFaults(place: string): RequesterFaults {
  return {
    unreachable(cause) {
      if (cause instanceof Fault || cause instanceof Bug) return cause;
      const hint = `${wayHint(cause, "Loki")}; it is tried again by itself`;
      return new Fault({ code: "loki_unreachable", retry: "later", message: `reach ${place}`, hint, cause });
    },
    unauthorized: (message, hint) => new Fault({ code: "loki_unauthorized", retry: "denied", message, hint }),
  };
}
