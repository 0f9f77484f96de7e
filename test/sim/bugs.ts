/** Bugs to plant, one at a time: each a small change of the text of one file. What is replaced must be there, once. */

export interface PlantedBug {
  readonly name: string;
  readonly file: string;
  readonly replace: string;
  readonly by: string;
}

const writer = "src/spool/writer.ts";
const recover = "src/spool/recover.ts";
const deliver = "src/sink/deliver.ts";

export const plantedBugs: readonly PlantedBug[] = [
  {
    name: "a new segment's folder is not synced",
    file: writer,
    replace: "if (begun) await this.#options.doors.disk.syncDirectory(this.#options.segmentsDir);",
    by: "",
  },
  { name: "acknowledged before the sync", file: writer, replace: "      await file.datasync();\n      if (begun)", by: "      if (begun)" },
  {
    name: "a failed sync counts as success",
    file: writer,
    replace: "      await file.datasync();\n      if (begun)",
    by: "      await file.datasync().catch(() => {});\n      if (begun)",
  },
  {
    name: "a failed sync is tried again on the same file",
    file: writer,
    replace: "      await file.datasync();\n      if (begun)",
    by: "      await file.datasync().catch(() => file.datasync());\n      if (begun)",
  },
  {
    name: "sinks see a group before it is synced",
    file: writer,
    replace: "    await this.#append(file, parts, begun);\n    this.#count(group, refs, length, begun);\n",
    by: `    try {
      await file.write(parts, this.#at);
    } catch (cause) {
      await this.#undo(file, begun);
      throw writeFault("write", cause);
    }
    this.#count(group, refs, length, begun);
    for (let synced = false; !synced; ) synced = await file.datasync().then(() => true, () => false);
    if (begun) await this.#options.doors.disk.syncDirectory(this.#options.segmentsDir).catch(() => {});
`,
  },
  {
    name: "positions are written with the next group",
    file: writer,
    replace: "        delta: group.delta,\n        previousDelta: tail.lastDelta,",
    by: "        delta: tail.lastDelta,\n        previousDelta: tail.lastDelta,",
  },
  {
    name: "a group lies in two segments",
    file: writer,
    replace: "  async write(group: Group): Promise<void> {\n",
    by: `  async write(group: Group): Promise<void> {
    if (group.frames.length > 1) {
      await this.write({ frames: group.frames.slice(0, 1), delta: group.delta });
      await this.roll();
      return this.write({ frames: group.frames.slice(1), delta: {} });
    }
`,
  },
  {
    name: "a commit does not repeat the positions of the group before",
    file: writer,
    replace: "        previousDelta: tail.lastDelta,",
    by: "        previousDelta: {},",
  },
  { name: "a segment whose first sync failed is left behind", file: writer, replace: "this.#litter.push(file.path);", by: "" },
  {
    name: "the torn tail is cut one byte too far",
    file: recover,
    replace: "    }\n    await file.truncate(at);",
    by: "    }\n    await file.truncate(at - 1);",
  },
  {
    name: "a torn group is kept",
    file: recover,
    replace: "if (await wholeGroup(file, last)) await writeBack",
    by: "if (last.commit !== undefined) await writeBack",
  },
  {
    name: "the seal is ignored: rot in the last group is cut as torn",
    file: recover,
    replace: "if (!last.sealed && !this.#covers(last)) {",
    by: "if (last.commit !== undefined) {",
  },
  {
    name: "a start believes the page cache: the last group is not written back",
    file: recover,
    replace: "if (await wholeGroup(file, last)) await writeBack(file, last.at, last.end);",
    by: "if (await wholeGroup(file, last)) kept = last;",
  },
  {
    name: "a start does not sync the name of the newest segment",
    file: recover,
    replace: "    await this.#doors.disk.syncDirectory(this.#layout.segments);\n    this.sealBytes =",
    by: "    this.sealBytes =",
  },
  {
    name: "sequences go on from the segments alone",
    file: recover,
    replace: "nextSequence: Math.max(newest?.nextSequence ?? 0, last?.nextSequence ?? 0),",
    by: "nextSequence: last?.nextSequence ?? 0,",
  },
  {
    name: "a checkpoint is not synced",
    file: "src/spool/positions.ts",
    replace: "  await file.truncate(line.byteLength);\n  await file.datasync();\n",
    by: "  await file.truncate(line.byteLength);\n",
  },
  { name: "segments go before a checkpoint covers them", file: "src/spool/retain.ts", replace: "    await cover(last.lastGroup);\n", by: "" },
  {
    name: "one checkpoint is enough to remove segments",
    file: "src/spool/spool.ts",
    replace: "cover: (group) => this.#cover(group, this.#drops.to, 2),",
    by: "cover: (group) => this.#cover(group, this.#drops.to, 1),",
  },
  {
    name: "a segment goes when one sink has passed it",
    file: "src/spool/retain.ts",
    replace: "lowest = Math.min(lowest, holdBytes === undefined ? sequence : optional(sequence, holdBytes));",
    by: "lowest = lowest === Infinity ? sequence : Math.max(lowest, optional(sequence, holdBytes ?? Infinity));",
  },
  {
    name: "a copied spool keeps its id",
    file: "src/spool/identity.ts",
    replace: "const copied = stored !== undefined &&",
    by: "const copied = false && stored !== undefined &&",
  },
  {
    name: "spool.json is believed without its checksum",
    file: "src/spool/identity.ts",
    replace: "if (crc !== undefined && crc !== crcOf(summed))",
    by: "if (crc === null)",
  },
  { name: "folders are not synced into their parents", file: "src/core/folder.ts", replace: "    await disk.syncDirectory(parent);", by: "" },
  {
    name: "delivered is journaled before the answer",
    file: deliver,
    replace: "      const outcome = await this.#put(batch, signals);\n",
    by: `      if (attempt === 0) await this.#journal.append({ kind: "delivered", id: plan.id, low: this.#low(), ranges: plan.ranges });
      const outcome = await this.#put(batch, signals);
`,
  },
  {
    name: "after a restart what was planned is planned anew",
    file: deliver,
    replace: "if (copiedFrom !== undefined) for (const id of ledger.plans.keys())",
    by: "for (const id of ledger.plans.keys())",
  },
  {
    name: "a batch is sent before its plan is durable",
    file: deliver,
    replace: "      await this.#receipts.append(...plans.map(",
    by: "      void this.#receipts.append(...plans.map(",
  },
  {
    name: "a journal entry is not synced",
    file: "src/sink/journal.ts",
    replace: "      await file.write([lines], this.#bytes);\n      await file.datasync();\n",
    by: "      await file.write([lines], this.#bytes);\n",
  },
  {
    name: "the folder of a delivered file is not synced",
    file: "src/sink/directory/sink.ts",
    replace: "      if (published) {\n        await this.#disk.syncDirectory(folder);\n",
    by: "      if (published) {\n",
  },
  {
    name: "a receiver commits the number of a batch without its records",
    file: "test/sim/far.ts",
    replace: `    this.#arrived("ingest", linesOf(body, codec as Codec));`,
    by: `    if (this.#lanes.size % 7 !== 3) this.#arrived("ingest", linesOf(body, codec as Codec));`,
  },
  {
    name: "a receiver takes a batch again that it has",
    file: "test/sim/far.ts",
    replace: "    if (last?.epoch === epoch && last.number === at && last.digest === digest) return answer(204);\n",
    by: `    if (last?.epoch === epoch && last.number === at && last.digest === digest) {
      this.#arrived("ingest", linesOf(body, request.headers["Content-Encoding"] === "zstd" ? "zstd" : request.headers["Content-Encoding"] === "gzip" ? "gzip" : "none"));
      return answer(204);
    }
`,
  },
  {
    name: "one failed read at the start counts as damage",
    file: "src/spool/patient.ts",
    replace: "const attemptsMax = 5;",
    by: "const attemptsMax = 1;",
  },
  {
    name: "a part of the reserve counts for nothing",
    file: "src/spool/reserve.ts",
    replace: "    return Math.max(0, reserveBytes - this.#bytes);",
    by: "    return this.held ? 0 : reserveBytes;",
  },
  {
    name: "a sink that waited for its journal is not written down",
    file: "src/sink/hold.ts",
    replace: "return (await noted(options, runner)) ?? runner;",
    by: "return runner;",
  },
  {
    name: "the claim of a sink that is out of the configuration is not settled",
    file: "src/sink/claim.ts",
    replace: "  await settle(doors, path);\n",
    by: "",
  },
  {
    name: "the seal does not repeat the positions of its group",
    file: writer,
    replace: "group: this.tail.nextGroup - 1, delta: this.tail.lastDelta });",
    by: "group: this.tail.nextGroup - 1, delta: {} });",
  },
  {
    name: "what was given up for room is not in the checkpoint",
    file: "src/spool/spool.ts",
    replace: "const covered = { group: nextGroup - 1, droppedTo: this.#drops.to };",
    by: "const covered = { group: nextGroup - 1, droppedTo: 0 };",
  },
  {
    name: "a sink that is not required takes the required ones with it",
    file: "src/spool/retain.ts",
    replace: "lowest = Math.min(lowest, holdBytes === undefined ? sequence : optional(sequence, holdBytes));",
    by: "lowest = Math.min(lowest, optional(sequence, holdBytes ?? Infinity));",
  },
  {
    name: "a full spool gives up its oldest though it is to block",
    file: "src/spool/space.ts",
    replace: "(dropOldest && (await retain.drop",
    by: "((dropOldest || this.paused !== null) && (await retain.drop",
  },
  {
    name: "the table of segments has the length of a predecessor wrong",
    file: "src/spool/table.ts",
    replace: "previousBytes: previous?.bytes ?? 0 };",
    by: "previousBytes: Math.max(0, (previous?.bytes ?? 0) - 500) };",
  },
  { name: "a damaged line ends the journal", file: "src/sink/journal.ts", replace: "      } else bad++;", by: "      } else break;" },
  {
    name: "a place that cannot be read is tried for ever",
    file: "src/spool/unreadable.ts",
    replace: "    this.#given.add(place);\n    return true;",
    by: "    return false;",
  },
  {
    name: "a start on a full disk does not make room for its identity",
    file: "src/spool/identity.ts",
    replace: "  await makeRoom();\n",
    by: `  if (text !== "") throw Object.assign(new Error("full"), { code: "ENOSPC" });\n`,
  },
];
