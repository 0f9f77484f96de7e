/** Writes docs/config.md from the schemas: `npm run docs`. A test says when it is stale. */
import { join } from "node:path";
import { renderReference } from "../src/config/docs.ts";
import { kinds } from "../src/config/load.ts";

await Bun.write(join(import.meta.dir, "..", "docs", "config.md"), renderReference(kinds));
