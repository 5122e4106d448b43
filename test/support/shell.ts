/** Lines of the documents, in a shell, against an edge of the test's. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @param line as the document has it: `npx headwater` is what was built
 * @param url of the edge, instead of the one in the document
 * @param folder where it runs. Default: the project
 */
export function inShell(line: string, url: string, settings: Readonly<Record<string, string>> = {}, folder = ROOT) {
  const command = line
    .replaceAll("npx headwater", `${process.execPath} ${ROOT}dist/cli/main.js`)
    .replaceAll("http://127.0.0.1:8787", url)
    .replaceAll("https://example.com", url);
  return spawn("bash", ["-c", `set -o pipefail; ${command}`], { cwd: folder, detached: true, env: { ...process.env, ...settings } });
}

/** What it writes until it ends. @param expected its exit code. Default: that of a success */
export async function outputOf(child: ReturnType<typeof inShell>, expected = 0): Promise<string> {
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text: Buffer) => {
      output += text;
    });
  }
  const [exitCode] = await once(child, "close");
  expect(exitCode, output).toBe(expected);
  return output;
}
