/** The helpers themselves: a helper that lies makes every test above it lie. */
import { expect, test } from "bun:test";
import { S3Client } from "bun";
import { existsSync } from "node:fs";
import { runProcess, startProcess } from "./process.ts";
import { scratch } from "./scratch.ts";
import { until } from "./until.ts";
import { makeBucket, startVersitygw } from "./versitygw.ts";

test("a scratch folder is gone with its scope", async () => {
  let path: string;
  {
    await using dir = await scratch();
    path = dir.path;
    await Bun.write(dir.join("a", "b"), "x");
  }
  expect(existsSync(path)).toBe(false);
});

test("until gives the first real value and names what never came", async () => {
  let calls = 0;
  expect(await until(() => (++calls < 3 ? undefined : calls), "three calls")).toBe(3);
  await expect(until(() => false, "the moon", 30)).rejects.toThrow("the moon");
});

test("a process gives its output, its exit code and takes its input", async () => {
  expect(await runProcess(["sh", "-c", "cat; echo out; echo err >&2; exit 3"], { stdin: "in " })).toEqual({
    code: 3,
    stdout: "in out\n",
    stderr: "err\n",
  });
  await using sleeper = startProcess(["sleep", "600"]);
  expect(await sleeper.stop()).toBe(143);
});

test("versitygw keeps objects, comes back at the same address and refuses a wrong secret", async () => {
  await using dir = await scratch();
  await makeBucket(dir.path, "logs");
  await using first = await startVersitygw(dir.path);
  const client = (secret: string): S3Client =>
    new S3Client({ endpoint: first.endpoint, bucket: "logs", region: "us-east-1", accessKeyId: first.accessKey, secretAccessKey: secret });
  await client(first.secretKey).write("a/b.txt", "hello");
  await expect(client("wrong").write("a/c.txt", "no")).rejects.toThrow();
  await first.stop();
  await using second = await startVersitygw(dir.path, Number(new URL(first.endpoint).port));
  expect(second.endpoint).toBe(first.endpoint);
  expect(await client(first.secretKey).file("a/b.txt").text()).toBe("hello");
}, 300_000);
