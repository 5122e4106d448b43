/** An app's listeners that throw. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const run = promisify(execFile);

test("a listener that throws is an uncaught error of the app: what is appended stays appended, and everybody else is told", async () => {
  const script = new URL("throwing-listeners.ts", import.meta.url).pathname;
  const { stdout } = await run(process.execPath, [script], { timeout: 30_000 });
  const seen = JSON.parse(stdout);
  expect(seen).toMatchObject({ versions: [1, 2], row: 2, uncaught: ["live", "status", "table"] });
  expect(seen.told.at(-1)).toBe(2);
});
