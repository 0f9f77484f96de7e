/** What the simulated disk and its open files share: files as they are, and what may go wrong with them. */
import type { FileStat } from "../../src/core/disk.ts";
import type { Content, Write } from "./content.ts";

export interface Node {
  readonly inode: number;
  readonly kind: "file" | "directory";
  /** As every process sees it. */
  bytes: Content;
  /** As it is on the medium. */
  durable: Content;
  /** Since the last sync, in order. */
  pending: Write[];
}

export interface DiskFaults {
  /** Chance of each. */
  syncFails: number;
  writeFails: number;
  readFails: number;
  shortReads: number;
  /** Bytes all files may take. */
  capacity: number;
}

export const noDiskFaults: DiskFaults = { syncFails: 0, writeFails: 0, readFails: 0, shortReads: 0, capacity: Infinity };

export const failed = (code: string, path: string): Error => Object.assign(new Error(`${code} ${path}`), { code });

export function statOf(node: Node): FileStat {
  return { kind: node.kind, bytes: node.bytes.length, device: 1, inode: node.inode, links: 1, modifiedMs: 0 };
}
