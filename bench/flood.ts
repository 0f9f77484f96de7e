/** Appends a file to another one over and over, faster than it can be shipped: `bun bench/flood.ts FROM TO BYTES_PER_SECOND SECONDS`. */
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";

const tickMs = 20;
const [from = "", to = "", rate, seconds] = process.argv.slice(2);
const lines = readFileSync(from);
const bytes = lines.subarray(0, lines.lastIndexOf(10) + 1);
const fd = openSync(to, "a");
const began = performance.now();
let written = 0;
for (let passed = 0; passed < Number(seconds) * 1000; passed = performance.now() - began) {
  for (const due = (passed / 1000) * Number(rate); written < due;) {
    const at = written % bytes.byteLength;
    written += writeSync(fd, bytes, at, Math.min(bytes.byteLength - at, 2 ** 20));
  }
  await Bun.sleep(tickMs);
}
closeSync(fd);
