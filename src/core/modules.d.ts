/** Types of files that are imported out of a package directly (core/prometheus.ts). */

declare module "prom-client/lib/counter.js" {
  export { Counter as default } from "prom-client";
}
declare module "prom-client/lib/gauge.js" {
  export { Gauge as default } from "prom-client";
}
declare module "prom-client/lib/histogram.js" {
  export { Histogram as default } from "prom-client";
}
declare module "prom-client/lib/registry.js" {
  export { Registry as default } from "prom-client";
}

declare module "snappyjs" {
  /** One block in snappy's block format. */
  export function compress(bytes: Uint8Array): Uint8Array;
  /** Throws an Error when `bytes` are none, or come to more than `lengthMax`. */
  export function uncompress(bytes: Uint8Array, lengthMax?: number): Uint8Array;
}
