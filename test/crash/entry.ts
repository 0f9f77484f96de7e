/** The product with crash points around its doors: what harness.ts builds and kills. */
import { systemDoors } from "../../src/core/doors.ts";
import { watchDisk, watchNetwork } from "./points.ts";

// Before the product is loaded, which takes the doors as it finds them.
Object.assign(systemDoors, { disk: watchDisk(systemDoors.disk), network: watchNetwork(systemDoors.network) });
await import("../../src/main.ts");
