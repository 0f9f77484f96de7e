/**
 * The stream a record goes to, and what of the record no label of it says.
 *
 * Promises: no label is refused by a server with the limits of the configuration; what does not fit there becomes metadata, and
 * a stream always has one label at least. Equal records give equal bytes.
 */
import { type Config } from "./config.ts";
import { every, expand, type FieldName, type Fields, parseTemplate, type Template } from "./template.ts";

export interface Stream {
  /** As Loki reads it: `{app="web", host="edge-1"}`, sorted by name. */
  readonly text: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Spreads streams over pushes that go at once. */
  readonly hash: number;
}

/** `rest`: names and values by turns. */
export interface Placed {
  readonly stream: Stream;
  readonly rest: readonly string[];
}

/** Loki's `max_label_value_length` and `max_label_name_length`, by default. */
const valueBytesMax = 2048;
const nameLengthMax = 1024;

/** Combinations remembered; beyond, all are forgotten and made anew. A tenant has 5,000 active streams by default. */
const rememberedMax = 8192;

export class Streams {
  readonly #templates: readonly (readonly [name: string, template: Template])[];
  readonly #every: boolean;
  readonly #labelsMax: number;
  readonly #restWanted: boolean;
  readonly #known = new Map<string, Placed>();
  /** By their text: records that differ in what no label says are of one stream. */
  readonly #streams = new Map<string, Stream>();

  constructor(config: Pick<Config, "labels" | "labels_max" | "metadata">) {
    this.#every = Object.hasOwn(config.labels, every);
    this.#templates = Object.entries(config.labels).flatMap(([name, text]) => {
      const parsed = name === every ? undefined : parseTemplate(text);
      return parsed === undefined || "mistake" in parsed ? [] : [[name, parsed] as const];
    });
    this.#labelsMax = config.labels_max;
    this.#restWanted = config.metadata === "all";
  }

  placeOf(fields: Fields): Placed {
    const key = JSON.stringify(fields);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size >= rememberedMax) {
      this.#known.clear();
      this.#streams.clear();
    }
    const placed = this.#place(fields);
    this.#known.set(key, placed);
    return placed;
  }

  #place(fields: Fields): Placed {
    const labels = new Map<string, string>();
    const left = new Map<string, string>();
    for (const name of ["source", "host", "file", "stream"] as const) if (fields[name] !== undefined) left.set(name, fields[name]);
    const ownLeft = new Map(Object.entries(fields.labels));
    const said = (field: FieldName | { readonly label: string }): void =>
      void (typeof field === "string" ? left.delete(field) : ownLeft.delete(field.label));
    for (const [name, template] of this.#templates) {
      const parts: (FieldName | { readonly label: string })[] = [];
      const value = expand(template, fields, (part) => parts.push(part));
      if (value !== "" && fits(value)) parts.forEach(said);
      if (value !== "") labels.set(name, cut(value));
    }
    if (this.#every) {
      for (const [given, value] of Object.entries(fields.labels).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
        const name = nameFor(given);
        if (value === "" || labels.has(name) || labels.size >= this.#labelsMax) continue;
        labels.set(name, cut(value));
        if (name === given && fits(value)) ownLeft.delete(given);
      }
    }
    if (labels.size === 0) labels.set("source", cut(fields.source ?? "") || "unknown");
    const rest = this.#restWanted ? [...left, ...ownLeft].filter(([, value]) => value !== "").flat() : [];
    const made = streamOf(labels);
    const stream = this.#streams.get(made.text) ?? made;
    this.#streams.set(made.text, stream);
    return { stream, rest };
  }
}

function streamOf(labels: ReadonlyMap<string, string>): Stream {
  const pairs = [...labels].toSorted(([a], [b]) => (a < b ? -1 : 1));
  // Go's quoting takes JSON's escapes; a lone surrogate is what it does not.
  const text = `{${pairs.map(([name, value]) => `${name}=${JSON.stringify(value.toWellFormed())}`).join(", ")}}`;
  return { text, labels: Object.fromEntries(pairs.map(([name, value]) => [name, value.toWellFormed()])), hash: Bun.hash.crc32(text) };
}

/** A name that Loki takes, as near as can be. */
function nameFor(given: string): string {
  const name = given.slice(0, nameLengthMax).replace(/[^a-zA-Z0-9_]/g, "_");
  return /^[0-9]/.test(name) || name === "" ? `_${name}` : name;
}

function fits(value: string): boolean {
  return value.length <= valueBytesMax / 3 || Buffer.byteLength(value) <= valueBytesMax;
}

function cut(value: string): string {
  return fits(value) ? value : Buffer.from(value).subarray(0, valueBytesMax).toString("utf8").replace(/�+$/, "");
}
