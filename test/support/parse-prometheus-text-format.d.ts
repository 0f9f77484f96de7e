/** The types that the parser of Prometheus text comes without. Its histograms have no labels: it keeps the last of them. */
declare module "parse-prometheus-text-format" {
  export interface Family {
    name: string;
    /** `COUNTER`, `GAUGE`, `HISTOGRAM`, `SUMMARY` or `UNTYPED`. */
    type: string;
    help: string;
    metrics: { value?: string; labels?: Record<string, string>; count?: string; buckets?: Record<string, string> }[];
  }
  export default function parsePrometheusTextFormat(text: string): Family[];
}
