/** The five doors to the outside, handed down together; the simulation replaces these and nothing else. */
import { systemClock, type Clock } from "./clock.ts";
import { systemCompress, type Compress } from "./compress.ts";
import { systemDisk, type Disk } from "./disk.ts";
import { systemNetwork, type Network } from "./network.ts";
import { systemRandom, type Random } from "./random.ts";

export interface Doors {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly compress: Compress;
}

export const systemDoors: Doors = {
  disk: systemDisk,
  clock: systemClock,
  network: systemNetwork,
  random: systemRandom,
  compress: systemCompress,
};
