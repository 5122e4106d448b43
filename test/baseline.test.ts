/** The check of the built files finds what is newer than the baseline. `npm run check` runs it on the built files themselves. */
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { newerThanBaseline } from "../scripts/baseline.mjs";
import { TARGET } from "../scripts/targets.mjs";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("..", import.meta.url));

async function folderWith(name: string, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "headwater-baseline-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), text);
  return folder;
}

test.each([
  ["a newer part of the language's library", "export const x = Promise.try(() => 1);", /PromiseTry \(chrome 125 requires 128/],
  ["a newer method of a class", "export const x = new Set([1]).union(new Set([2]));", /SetUnion \(firefox 126 requires 127/],
  ["an interface of the web that one engine lacks", "await scheduler.yield();", /^scheduler is not supported in Safari 17.5/],
  ["a newer interface of the web", 'export const x = new URLPattern("/x");', /^URLPattern is not supported in .*Firefox 126/],
])("%s is found in a built file", async (_, code, message) => {
  expect(await newerThanBaseline(await folderWith("built.js", code))).toEqual([expect.stringMatching(message)]);
});

test("what is widely available is not", async () => {
  const code = `export const x = [Promise.withResolvers(), Map.groupBy([], String), AbortSignal.any([]), structuredClone(1), navigator.locks];
export const [y] = [[1].toSorted(), "x".isWellFormed(), new CompressionStream("gzip"), new BroadcastChannel("x")];`;
  expect(await newerThanBaseline(await folderWith("built.js", code))).toEqual([]);
});

test.each([
  ["client", "export const x = new Set([1]).union(new Set([2]));"],
  ["client", "export const x = [1].values().map(String).toArray();"],
  ["shared", "export const x = new Set([1]).isSubsetOf(new Set([2]));"],
])("the compiler refuses newer methods in %s/: %s", async (side, code) => {
  const folder = await folderWith("sample.ts", code);
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ extends: join(ROOT, side, "tsconfig.json"), include: ["sample.ts"] }));
  const tsc = [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", folder];
  await expect(run(process.execPath, tsc)).rejects.toMatchObject({ stdout: expect.stringMatching(/sample\.ts\(1,\d+\): error TS/) });
});

test("the build targets the oldest version of each browser, and of Node", () => {
  expect(TARGET).toEqual(["chrome125", "edge125", "firefox126", "safari17.5", "ios17.5", "node22"]);
});
