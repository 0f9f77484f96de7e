/** Sink s3 against a real S3 server: whole objects, and the same in parts. */
import { afterAll, beforeAll } from "bun:test";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { readFile, writeFile } from "node:fs/promises";
import * as v from "valibot";
import { createBoard } from "../../src/core/board.ts";
import type { Batch } from "../../src/core/contract.ts";
import { systemDoors } from "../../src/core/doors.ts";
import { silent } from "../../src/core/log.ts";
import { schema } from "../../src/sink/s3/config.ts";
import { s3 } from "../../src/sink/s3/sink.ts";
import { scratch, type Scratch } from "../support/scratch.ts";
import { makeBucket, startVersitygw, type Versitygw } from "../support/versitygw.ts";
import { sinkConformance } from "./sink.ts";

let dir: Scratch;
let server: Versitygw;
let buckets = 0;

beforeAll(async () => {
  dir = await scratch();
  server = await startVersitygw(dir.join("store"));
  await writeFile(dir.join("id"), server.accessKey);
  await writeFile(dir.join("secret"), server.secretKey);
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

sinkConformance("s3", async () => {
  const bucket = `logs-${++buckets}`;
  await makeBucket(dir.join("store"), bucket);
  const keyOf = (batch: Batch): string => `raw/${batch.lane}/${batch.name}`;
  const config = v.parse(schema, {
    type: "s3",
    bucket,
    endpoint: server.endpoint,
    path_style: true,
    prefix: "raw/",
    access_key_id_file: dir.join("id"),
    secret_access_key_file: dir.join("secret"),
  });
  return {
    open: () =>
      s3.open(config, {
        name: "lake",
        host: "edge-1",
        spoolId: "0123456789abcdef0123456789abcdef",
        doors: systemDoors,
        board: createBoard(silent, Date.now),
        log: silent,
      }),
    arrived: (batch) =>
      readFile(dir.join("store", bucket, keyOf(batch))).then(
        (body) => [body],
        () => [],
      ),
    async occupy(batch) {
      const credentials = { accessKeyId: server.accessKey, secretAccessKey: server.secretKey };
      const client = new S3Client({ endpoint: server.endpoint, region: "us-east-1", forcePathStyle: true, credentials });
      await client.send(new PutObjectCommand({ Bucket: bucket, Key: keyOf(batch), Body: "something else" }));
    },
    async [Symbol.asyncDispose]() {},
  };
});
