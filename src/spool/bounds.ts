/** Figures of the spool that a test or the simulation makes smaller, and a host never does. */
import { tableSegmentsMin } from "./table.ts";
import { endurance, type Endurance } from "./unreadable.ts";

export interface Bounds {
  /** When a place that cannot be read is given up. */
  readonly endurance: Endurance;
  /** From so many segments on, a table of their heads is written and believed. */
  readonly tableSegmentsMin: number;
}

export const bounds: Bounds = { endurance, tableSegmentsMin };
